"""A source, and what is left of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.data.filters import Filter
from luthier.data.records import Tally
from luthier.data.state import Stateful, source_state
from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example, Source


@dataclass(kw_only=True)
class Filtered:
    """The examples of a source that pass all filters, in the order in which the recipe names these.

    The source has split and limited them before. What a filter counts bears its name: `near_duplicates: dropped`.
    """

    source: Source
    filters: dict[str, Filter] = field(default_factory=dict)

    tally = Tally()
    of_filters: Mapping[str, Tally] = field(default_factory=dict, init=False, repr=False)

    def __iter__(self) -> Iterator[Example]:
        tally = self.tally = Tally()
        of_filters = self.of_filters = {name: Tally() for name in self.filters}
        examples: Iterable[Example] = self.source
        for name, keep in self.filters.items():
            examples = keep(examples, of_filters[name])
        for example in examples:
            tally.counts["examples"] += 1
            tally.counts[example["split"]] += 1
            yield example
        if not tally.counts["examples"]:
            counted = ", ".join(f"{count} {what}" for what, count in self.counts.items())
            raise DataError(f"No example passes all filters: {counted}.", hint="Loosen a filter, or leave one out.")

    @property
    def counts(self) -> Mapping[str, int]:
        """Those of the source and of each filter; `examples` and the splits are what is left."""
        total: Counter[str] = Counter(self.source.counts)
        for name in ("examples", "train", "validation", "test"):
            total.pop(name, None)
        total.update(self.tally.counts)
        for name, tally in self.of_filters.items():
            total.update({f"{name}: {what}": count for what, count in tally.counts.items()})
        return {name: count for name, count in sorted(total.items()) if count}

    @property
    def warnings(self) -> list[str]:
        """The warnings of the source and of the filters, the latter with their names in front."""
        theirs = [f"{name}: {said}" for name, tally in self.of_filters.items() for said in tally.warnings]
        return [*self.source.warnings, *theirs]

    def fingerprint(self) -> dict[str, Any]:
        """That of the source, the names of the filters, and the counts."""
        return {**self.source.fingerprint(), "filters": list(self.filters), "counts": dict(self.counts)}

    def state(self) -> Any:
        """The states of the source and of what filters read; None where one cannot be told."""
        reading = [self.source, *(each for each in self.filters.values() if isinstance(each, Stateful))]
        states = [source_state(part) for part in reading]
        return None if None in states else states

    def quarantine_into(self, folder: Path) -> None:
        """Let the source set rows aside there."""
        self.source.quarantine_into(folder)
