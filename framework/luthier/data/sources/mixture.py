"""Several sources as one."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from luthier.data.dedup import SeenExamples
from luthier.data.records import Tally
from luthier.data.state import source_state
from luthier.data.turn_choice import TurnChoice, with_turns
from luthier.errors import RecipeError
from luthier.errors.names import check_names

if TYPE_CHECKING:
    from luthier.contracts.examples import Example, Source


@dataclass(kw_only=True)
class Mixture:
    """Examples of several sources, interleaved by a seed; `source` of each example is the name of its source.

    Without `weights` every example is used once. With them, training examples are used in those proportions: until the
    first source is exhausted, the rest of the others being left out and counted (`ends` first); or until the last is
    exhausted, the others starting again, counted as `repeated` (`ends` last). Held-out examples are used once in either
    case. A duplicate of an example of another source is dropped and counted, so that no example is trained on that
    another source holds out. Each source assigns splits and applies its limit by itself. `turns` is that of every
    source, unless it is `auto`.
    """

    sources: dict[str, Source] = field(default_factory=dict)
    weights: dict[str, float] | None = None
    seed: int = 0
    ends: Literal["first", "last"] = "first"
    limit: int | None = None
    turns: TurnChoice = "auto"

    tally = Tally()

    def __post_init__(self) -> None:
        if not self.sources:
            raise RecipeError(
                "The mixture has no sources.",
                where="data.sources",
                hint="Add each to the recipe's defaults: /data@data.sources.NAME: jsonl.",
            )
        weights = self.weights or {}
        check_names(weights, self.sources, kind="source", use="to give a weight to", where="data.weights")
        for name in self.sources if weights else ():
            if not weights.get(name, 0) > 0:
                raise RecipeError(f"The source {name!r} has no weight above 0.", where=f"data.weights.{name}")

    def __iter__(self) -> Iterator[Example]:
        tally = self.tally = Tally()
        for example in map(partial(with_turns, turns=self.turns), islice(_Interleaving(self, tally), self.limit)):
            tally.add(example)
            tally.counts[f"from_{example['source']}"] += 1
            yield example

    @property
    def counts(self) -> Mapping[str, int]:
        """The sums over the sources; `examples` and the splits are those of the mixture, `from_<name>` of a source."""
        return self.tally.counts_with(*(source.counts for source in self.sources.values()))

    @property
    def warnings(self) -> list[str]:
        """The warnings of the sources, with their names in front, and those of the mixture."""
        of_sources = [f"{name}: {warning}" for name, source in self.sources.items() for warning in source.warnings]
        return [*of_sources, *self.tally.warnings]

    def fingerprint(self) -> dict[str, Any]:
        """The fingerprint of each source, the weights and the seed."""
        of_sources = {name: source.fingerprint() for name, source in self.sources.items()}
        return {"sources": of_sources, "weights": self.weights, "seed": self.seed, "counts": dict(self.counts)}

    def state(self) -> Any:
        """The states of the sources; None where one is unknown."""
        states = {name: source_state(source) for name, source in self.sources.items()}
        return None if None in states.values() else states

    def quarantine_into(self, folder: Path) -> None:
        """Write the quarantined rows of each source to a folder of its own below `folder`."""
        for name, source in self.sources.items():
            source.quarantine_into(folder / name)


class _Interleaving:
    """One pass over the sources of a mixture."""

    def __init__(self, mixture: Mixture, tally: Tally) -> None:
        self.mixture, self.tally = mixture, tally
        self.random = random.Random(mixture.seed)
        self.seen = SeenExamples()
        self.exhausted: set[str] = set()
        self.with_training: set[str] = set()

    def __iter__(self) -> Iterator[Example]:
        weights = self.mixture.weights or {}
        streams = {name: self._first_pass(name) for name in self.mixture.sources}
        while streams:
            names = list(streams)
            (name,) = self.random.choices(names, [weights.get(name, 1.0) for name in names])
            for example in streams[name]:
                trained_on = example["split"] == "train"
                yield example
                if trained_on:
                    self.with_training.add(name)
                    break
            else:
                self.exhausted.add(name)
                del streams[name]
                if weights and name in self.with_training:
                    ended = {"first": self._end_here, "last": self._start_again}[self.mixture.ends]
                    yield from ended(name, streams)

    def _first_pass(self, name: str) -> Iterator[Example]:
        for example in self.mixture.sources[name]:
            owner, split = self.seen.earlier(example, name) or (name, "")
            if owner == name:
                yield {**example, "source": name}
                continue
            self.tally.counts["duplicates"] += 1
            if split != example["split"]:
                self.tally.counts["overlap"] += 1
                warning = f"Examples of {owner} in {split} are in {example['split']} in {name}; only the first is kept"
                self.tally.warn(warning, example["where"])

    def _again(self, name: str) -> Iterator[Example]:
        for example in self.mixture.sources[name]:
            if example["split"] == "train" and self.seen.owner(example) == name:
                self.tally.counts["repeated"] += 1
                yield {**example, "source": name}

    def _end_here(self, name: str, streams: dict[str, Iterator[Example]]) -> Iterator[Example]:
        """The remaining held-out examples of the other sources; their training examples are left out and counted."""
        for stream in streams.values():
            for example in stream:
                if example["split"] == "train":
                    self.tally.counts["left_out_by_weights"] += 1
                else:
                    yield example
        if self.tally.counts["left_out_by_weights"]:
            left_out = self.tally.counts["left_out_by_weights"]
            self.tally.warn(f"{left_out} training examples were left out to keep the weights, as {name} ran out first")
        streams.clear()

    def _start_again(self, name: str, streams: dict[str, Iterator[Example]]) -> Iterator[Example]:
        if self.exhausted < set(self.mixture.sources):
            streams[name] = self._again(name)
        else:
            streams.clear()
        return iter(())
