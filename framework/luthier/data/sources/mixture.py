"""Several sources as one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from luthier.data.examples import content_key
from luthier.data.records import Tally
from luthier.data.state import source_state
from luthier.errors import RecipeError
from luthier.errors.suggestions import nearest

if TYPE_CHECKING:
    from luthier.contracts.examples import Example, Source


@dataclass(kw_only=True)
class Mixture:
    """Examples of several sources in one seeded order; `source` of each example names where it is from.

    Without `weights` every example comes once. With them, training examples come in those proportions: until the
    first source runs out, the rest of the others being left out and counted (`ends` first); or until the last has
    given all it has, the others starting again, counted as `repeated` (`ends` last). Held-out examples come once in
    either case. An example that an earlier source has given is dropped and counted, so that nothing is trained on
    that another source holds out. Each source splits and limits for itself.
    """

    sources: dict[str, Source] = field(default_factory=dict)
    weights: dict[str, float] | None = None
    seed: int = 0
    ends: Literal["first", "last"] = "first"
    limit: int | None = None

    tally = Tally()

    def __post_init__(self) -> None:
        if not self.sources:
            raise RecipeError(
                "The mixture has no sources.",
                where="data.sources",
                hint="Add each to the recipe's defaults: /data@data.sources.NAME: jsonl.",
            )
        weights = self.weights or {}
        for name in weights:
            if name not in self.sources:
                way_out = nearest(name, self.sources, "The sources are")
                raise RecipeError(f"There is no source {name!r} to weigh.", where=f"data.weights.{name}", hint=way_out)
        for name in self.sources if weights else ():
            if not weights.get(name, 0) > 0:
                raise RecipeError(f"The source {name!r} has no weight above 0.", where=f"data.weights.{name}")

    def __iter__(self) -> Iterator[Example]:
        tally = self.tally = Tally()
        for example in islice(_Interleaving(self, tally), self.limit):
            tally.counts["examples"] += 1
            tally.counts[example["split"]] += 1
            tally.counts[f"from_{example['source']}"] += 1
            yield example

    @property
    def counts(self) -> Mapping[str, int]:
        """The sums over the sources; `examples` and the splits are what the mixture gave, `from_<name>` of each."""
        total: Counter[str] = Counter()
        for source in self.sources.values():
            total.update(source.counts)
        for name in ("examples", "train", "validation", "test"):
            total.pop(name, None)
        total.update(self.tally.counts)
        return {name: count for name, count in sorted(total.items()) if count}

    @property
    def warnings(self) -> list[str]:
        """The warnings of the sources, each with its name in front, and the mixture's own."""
        theirs = [f"{name}: {said}" for name, source in self.sources.items() for said in source.warnings]
        return [*theirs, *self.tally.warnings]

    def fingerprint(self) -> dict[str, Any]:
        """The fingerprint of each source, the weights and the seed."""
        each = {name: source.fingerprint() for name, source in self.sources.items()}
        return {"sources": each, "weights": self.weights, "seed": self.seed, "counts": dict(self.counts)}

    def state(self) -> Any:
        """The states of the sources; None where one has none."""
        each = {name: source_state(source) for name, source in self.sources.items()}
        return None if None in each.values() else each

    def quarantine_into(self, folder: Path) -> None:
        """Give each source a folder of its own below `folder` for rows that it sets aside."""
        for name, source in self.sources.items():
            source.quarantine_into(folder / name)


class _Interleaving:
    """One pass over the sources of a mixture."""

    def __init__(self, mixture: Mixture, tally: Tally) -> None:
        self.mixture, self.tally = mixture, tally
        self.chance = random.Random(mixture.seed)
        self.owner: dict[bytes, tuple[str, str]] = {}
        self.done: set[str] = set()
        self.trained: set[str] = set()

    def __iter__(self) -> Iterator[Example]:
        weights = self.mixture.weights or {}
        streams = {name: self._first_pass(name) for name in self.mixture.sources}
        while streams:
            names = list(streams)
            (name,) = self.chance.choices(names, [weights.get(name, 1.0) for name in names])
            for example in streams[name]:
                trained_on = example["split"] == "train"
                yield example
                if trained_on:
                    self.trained.add(name)
                    break
            else:
                self.done.add(name)
                del streams[name]
                if weights and name in self.trained:
                    ended = {"first": self._end_here, "last": self._start_again}[self.mixture.ends]
                    yield from ended(name, streams)

    def _first_pass(self, name: str) -> Iterator[Example]:
        for example in self.mixture.sources[name]:
            owner, split = self.owner.setdefault(content_key(example), (name, example["split"]))
            if owner == name:
                yield {**example, "source": name}
                continue
            self.tally.counts["duplicates"] += 1
            if split != example["split"]:
                self.tally.counts["overlap"] += 1
                said = f"Examples that {owner} has as {split} are {example['split']} in {name}; only the first is kept"
                self.tally.warn(said, example["where"])

    def _again(self, name: str) -> Iterator[Example]:
        for example in self.mixture.sources[name]:
            if example["split"] == "train" and self.owner[content_key(example)][0] == name:
                self.tally.counts["repeated"] += 1
                yield {**example, "source": name}

    def _end_here(self, name: str, streams: dict[str, Iterator[Example]]) -> Iterator[Example]:
        """The held-out rest of the other sources, and no more."""
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
        if self.done < set(self.mixture.sources):
            streams[name] = self._again(name)
        else:
            streams.clear()
        return iter(())
