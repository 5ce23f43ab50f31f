"""What a reader hands on: one row of a source and where it stands, or why it cannot be read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from luthier.errors import DataError

MOST_PLACES = 3


@dataclass(slots=True)
class Record:
    """One row of the file `file`, starting at `line` (rows are counted from 1 where a file has no lines).

    Either `row` or `fault` is set. `raw` is the row as the file wrote it, for the quarantine, with bytes that are not
    UTF-8 as lone surrogates; `split` is where the source itself says which split the row belongs to.
    """

    file: str
    line: int
    row: dict[str, Any] | None = None
    fault: DataError | None = None
    raw: str | None = None
    split: str | None = None

    @property
    def where(self) -> str:
        """`file:line`, as errors name the row."""
        return f"{self.file}:{self.line}"


@dataclass(slots=True)
class Tally:
    """What happened to the rows of one reading: counts, rows of each file, and warnings with their first places."""

    counts: Counter[str] = field(default_factory=Counter)
    """What happened to the rows: read, skipped, quarantined, …"""
    rows: Counter[str] = field(default_factory=Counter)
    """The number of rows of each file."""
    places: dict[str, list[str]] = field(default_factory=dict)
    """Warning -> the first places that it is about."""

    def warn(self, sentence: str, where: str = "") -> None:
        """Keep a warning; the same sentence again only adds a place, and no more than three are kept."""
        places = self.places.setdefault(sentence, [])
        if where and len(places) < MOST_PLACES:
            places.append(where)

    @property
    def warnings(self) -> list[str]:
        """The warnings as sentences, the first places of each behind it."""
        return [f"{sentence} ({', '.join(places)})" if places else sentence for sentence, places in self.places.items()]
