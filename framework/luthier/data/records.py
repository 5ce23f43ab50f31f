"""The rows that readers yield, and the counts and warnings of a reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from luthier.errors import DataError
from luthier.plugins.returned import misreturned, returned

if TYPE_CHECKING:
    from luthier.contracts.examples import Example

MOST_PLACES = 3
OUTPUT_COUNTS = ("examples", "train", "validation", "test")
"""Counts of the examples that a source yields; all others count what happened to its rows."""


@dataclass(slots=True)
class Record:
    """One row of the file `file`, starting at `line` (the number of the row from 1 where a file has no lines).

    Either `row` or `fault` is set. `raw` is the row as it is in the file, for the quarantine, with bytes that are not
    UTF-8 as lone surrogates; `split` is the split that the source gives the row, if any; `note` is a warning about how
    the row was read.
    """

    file: str
    line: int
    row: dict[str, Any] | None = None
    fault: DataError | None = None
    raw: str | None = None
    split: str | None = None
    note: str = ""

    @property
    def where(self) -> str:
        """`file:line`, as errors name the row."""
        return f"{self.file}:{self.line}"


def checked(record: Any, by: Callable[..., Any]) -> Record:
    """A record that `by` gives; PluginError that names it where that is none, or its row no dictionary."""
    row = returned(record, Record, by).row
    if row is not None and not isinstance(row, Mapping):
        raise misreturned(by, "records whose row is a dict", row)
    return record  # type: ignore[no-any-return]


@dataclass(slots=True)
class Tally:
    """The counts of one reading by name, the rows of each file, and warnings with their first places."""

    counts: Counter[str] = field(default_factory=Counter)
    """What happened to the rows: read, skipped, quarantined, …"""
    rows: Counter[str] = field(default_factory=Counter)
    """The number of rows of each file."""
    places: dict[str, list[str]] = field(default_factory=dict)
    """Warning -> the first places that it is about."""

    def add(self, example: Example) -> None:
        """Count an example that the source yields: under `examples` and under the name of its split."""
        self.counts["examples"] += 1
        self.counts[example["split"]] += 1

    def counts_with(self, *inputs: Mapping[str, int]) -> dict[str, int]:
        """These counts plus those of the sources that were read, sorted by name, without zeros.

        `examples` and the splits count what this source yields alone, not what its inputs yield.
        """
        total: Counter[str] = Counter()
        for counts in inputs:
            total.update({name: count for name, count in counts.items() if name not in OUTPUT_COUNTS})
        total.update(self.counts)
        return {name: count for name, count in sorted(total.items()) if count}

    def warn(self, sentence: str, where: str = "") -> None:
        """Add a warning; the same sentence again only adds its place, of which three are stored."""
        places = self.places.setdefault(sentence, [])
        if where and len(places) < MOST_PLACES:
            places.append(where)

    @property
    def warnings(self) -> list[str]:
        """The warnings as sentences, each followed by its first places in parentheses."""
        return [f"{sentence} ({', '.join(places)})" if places else sentence for sentence, places in self.places.items()]
