"""A source with filters applied to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.data.filters import Filter
from luthier.data.records import Tally
from luthier.data.state import Stateful, source_state
from luthier.data.turn_choice import TurnChoice, with_turns
from luthier.data.well_formed import well_formed
from luthier.errors import DataError
from luthier.plugins.returned import returned

if TYPE_CHECKING:
    from luthier.contracts.examples import Example, Source


@dataclass(kw_only=True)
class Filtered:
    """The examples of a source that pass all filters, which are applied in the order of the recipe.

    The source assigns splits and applies its limit before. Counts of a filter have its name in front:
    `near_duplicates: dropped`. `turns` is that of the source, unless it is `auto`.
    """

    source: Source
    filters: dict[str, Filter] = field(default_factory=dict)
    turns: TurnChoice = "auto"

    tally = Tally()
    of_filters: Mapping[str, Tally] = field(default_factory=dict, init=False, repr=False)

    def __iter__(self) -> Iterator[Example]:
        tally = self.tally = Tally()
        of_filters = self.of_filters = {name: Tally() for name in self.filters}
        examples: Iterable[Example] = self.source
        for name, apply in self.filters.items():
            examples = _examples_of(apply, returned(apply(examples, of_filters[name]), Iterable, apply))
        for example in map(partial(with_turns, turns=self.turns), examples):
            tally.add(example)
            yield example
        if not tally.counts["examples"]:
            counted = ", ".join(f"{count} {what}" for what, count in self.counts.items())
            raise DataError(f"No example passes all filters: {counted}.", hint="Loosen a filter, or leave one out.")

    @property
    def counts(self) -> Mapping[str, int]:
        """Those of the source and of each filter; `examples` and the splits count the examples that pass."""
        of_filters = {
            f"{name}: {what}": count for name, tally in self.of_filters.items() for what, count in tally.counts.items()
        }
        return self.tally.counts_with(self.source.counts, of_filters)

    @property
    def warnings(self) -> list[str]:
        """The warnings of the source and of the filters, the latter with their names in front."""
        of_filters = [f"{name}: {warning}" for name, tally in self.of_filters.items() for warning in tally.warnings]
        return [*self.source.warnings, *of_filters]

    def fingerprint(self) -> dict[str, Any]:
        """That of the source, the names of the filters, and the counts."""
        return {**self.source.fingerprint(), "filters": list(self.filters), "counts": dict(self.counts)}

    def state(self) -> Any:
        """The states of the source and of the filters that read files; None where one is unknown."""
        parts = [self.source, *(part for part in self.filters.values() if isinstance(part, Stateful))]
        states = [source_state(part) for part in parts]
        return None if None in states else states

    def quarantine_into(self, folder: Path) -> None:
        """Write the quarantined rows of the source there."""
        self.source.quarantine_into(folder)


def _examples_of(apply: Filter, examples: Iterable[Any]) -> Iterator[Example]:
    for example in examples:
        yield well_formed(returned(example, dict, apply), apply)
