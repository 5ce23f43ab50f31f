"""One score of several contenders: the mean over seeds, and what can be told apart.

The bootstrap draws examples, the same ones for every run, so that differences are paired (Koehn, EMNLP 2004); and of
each contender it draws seeds, so that an interval holds the luck of training too, as far as the seeds show it
(Bouthillier et al., MLSys 2021). With one seed only the examples are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from luthier.contracts.scores import Score
from luthier.evaluation.bootstrap import Floats, interval, resampled
from luthier.evaluation.measurement import Bootstrap, Measurement, verdict


@dataclass(frozen=True)
class ContenderDifference:
    """The second contender's score minus the first's, and what it means for the second."""

    change: Score
    verdict: str


@dataclass(frozen=True)
class Standings:
    """A score of every contender with the value of each seed, and the differences between any two."""

    name: str
    better: str
    scores: dict[str, Score]
    by_seed: dict[str, list[float]]
    differences: dict[tuple[str, str], ContenderDifference]

    @property
    def best(self) -> str:
        sign = 1 if self.better == "higher" else -1
        return max(self.scores, key=lambda name: sign * self.scores[name].value)

    def against_best(self, name: str) -> str:
        """`best`, `not distinguishable` from it, or `worse`."""
        return "best" if name == self.best else self.differences[self.best, name].verdict

    def as_json(self) -> dict[str, Any]:
        return {
            "better": self.better,
            "best": self.best,
            "scores": {name: {**asdict(score), "by_seed": self.by_seed[name]} for name, score in self.scores.items()},
            "differences": [
                {"from": one, "to": other, **asdict(found)} for (one, other), found in self.differences.items()
            ],
        }


def standings(name: str, measured: Mapping[str, Sequence[Measurement]], bootstrap: Bootstrap) -> Standings | None:
    """None where they were not all measured on the same examples (or, of a loss, on the same tokens)."""
    every = [one for of_contender in measured.values() for one in of_contender]
    if len({one.examples for one in every}) != 1:
        return None
    drawn = iter(resampled([one.statistics for one in every], resamples=bootstrap.resamples, seed=bootstrap.seed))
    values: dict[str, Floats] = {}
    seeds: dict[str, list[float]] = {}
    for number, (contender, found) in enumerate(measured.items()):
        runs = np.stack([one.reduce(next(drawn)) for one in found])
        values[contender] = _over_seeds(runs, np.random.default_rng([bootstrap.seed, number]))
        seeds[contender] = [float(one.reduce(one.statistics.sum(0))) for one in found]
    count, better, level = len(every[0].statistics), every[0].better, bootstrap.confidence

    def score(value: float, resamples: Floats) -> Score:
        return Score(value, *interval(resamples, confidence=level), count, better)

    means = {contender: float(np.mean(of_seeds)) for contender, of_seeds in seeds.items()}
    differences = {}
    for one in measured:
        for other in measured:
            if one != other:
                change = score(means[other] - means[one], values[other] - values[one])
                differences[one, other] = ContenderDifference(change, verdict(change))
    return Standings(name, better, {one: score(means[one], values[one]) for one in measured}, seeds, differences)


def change(
    before: Sequence[Measurement], after: Sequence[Measurement], bootstrap: Bootstrap
) -> ContenderDifference | None:
    """How each run changed what it started from, averaged over seeds; None where the two cannot be paired."""
    pairs = list(zip(before, after, strict=True))
    if not pairs or len({one.examples for pair in pairs for one in pair}) != 1:
        return None
    drawn = resampled(
        [one.statistics for pair in pairs for one in pair], resamples=bootstrap.resamples, seed=bootstrap.seed
    )
    moved = np.stack(
        [
            then.reduce(later) - first.reduce(earlier)
            for (first, then), earlier, later in zip(pairs, drawn[::2], drawn[1::2], strict=True)
        ]
    )
    value = float(np.mean([b.reduce(b.statistics.sum(0)) - a.reduce(a.statistics.sum(0)) for a, b in pairs]))
    resamples = _over_seeds(moved, np.random.default_rng([bootstrap.seed, 0]))
    low, high = interval(resamples, confidence=bootstrap.confidence)
    found = Score(value, low, high, len(pairs[0][0].statistics), pairs[0][1].better)
    return ContenderDifference(found, verdict(found))


def _over_seeds(values: Floats, generator: np.random.Generator) -> Floats:
    """The mean over seeds, drawn with replacement anew for each resample: [seeds, resamples] to [resamples]."""
    seeds, resamples = values.shape
    drawn = generator.integers(seeds, size=(seeds, resamples))
    means: Floats = np.take_along_axis(values, drawn, axis=0).mean(0)
    return means
