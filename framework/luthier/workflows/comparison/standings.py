"""One score of several contenders: the mean over seeds and splits, and which differences are distinguishable.

The bootstrap draws examples, the same ones for every run, so that differences are paired (Koehn, EMNLP 2004). The luck
of training and the choice of what is held out are random effects beside them, as far as the seeds and splits that were
run show them (Bouthillier et al., MLSys 2021); `luthier.evaluation.random_effects` has the intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np

from luthier.contracts.scores import Score
from luthier.evaluation.bootstrap import Floats, resampled
from luthier.evaluation.measurement import Bootstrap, Measurement, verdict
from luthier.evaluation.random_effects import of_seeds, with_seeds, with_splits


@dataclass(frozen=True)
class ContenderDifference:
    """The second contender's score minus the first's, and what it means for the second."""

    change: Score
    verdict: str


@dataclass(frozen=True)
class Standings:
    """A score of every contender with the value of each run, and the differences between any two."""

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
                {"from": one, "to": other, **asdict(difference)}
                for (one, other), difference in self.differences.items()
            ],
        }


def standings(
    name: str,
    measured: Mapping[str, Sequence[Measurement]],
    bootstrap: Bootstrap,
    *,
    held_out: float = 0.0,
    bounded: bool = False,
) -> Standings | None:
    """None where they were not all measured on the same examples (or, of a loss, on the same tokens).

    Runs of several splits come split by split; `held_out` is then the ratio of held-out to training examples. A score
    that is `bounded` lies between 0 and 1, and so do its intervals.
    """
    by_split = {contender: _by_split(of_runs) for contender, of_runs in measured.items()}
    digests = [[split[0].examples for split in splits] for splits in by_split.values()]
    if any(one != digests[0] or len(set(one)) < len(one) for one in digests):
        return None
    splits = [
        _Split.of({contender: every[number] for contender, every in by_split.items()}, bootstrap)
        for number in range(len(digests[0]))
    ]
    better = next(iter(measured.values()))[0].better
    count = sum(split.count for split in splits)

    def score(*signs: tuple[str, float]) -> Score:
        """Of one contender, or of the difference of two."""
        values = np.array([sum(sign * split.values[one].mean() for one, sign in signs) for split in splits])
        if len(splits) > 1:
            low, high = with_splits(values, held_out=held_out, confidence=bootstrap.confidence)
        else:
            low, high = splits[0].interval(signs, bootstrap.confidence)
        if bounded:
            low, high = max(low, 1.0 - len(signs)), min(high, 1.0)
        return Score(float(values.mean()), low, high, count, better)

    pairs = [(one, other) for one in measured for other in measured if one != other]
    changes = {(one, other): score((other, 1.0), (one, -1.0)) for one, other in pairs}
    return Standings(
        name,
        better,
        {one: score((one, 1.0)) for one in measured},
        {one: [float(value) for split in splits for value in split.values[one]] for one in measured},
        {pair: ContenderDifference(change, verdict(change)) for pair, change in changes.items()},
    )


@dataclass(frozen=True)
class _Split:
    """The values of the runs of each contender on one set of examples, [seeds], and resampled, [seeds, resamples]."""

    values: Mapping[str, Floats]
    drawn: Mapping[str, Floats]
    count: int

    @classmethod
    def of(cls, measured: Mapping[str, Sequence[Measurement]], bootstrap: Bootstrap) -> _Split:
        every = [one for of_runs in measured.values() for one in of_runs]
        drawn = iter(resampled([one.statistics for one in every], resamples=bootstrap.resamples, seed=bootstrap.seed))
        return cls(
            {name: np.array([one.reduce(one.statistics.sum(0)) for one in runs]) for name, runs in measured.items()},
            {name: np.stack([one.reduce(next(drawn)) for one in runs]) for name, runs in measured.items()},
            len(every[0].statistics),
        )

    def interval(self, signs: Sequence[tuple[str, float]], confidence: float) -> tuple[float, float]:
        """Of the signed sum of the contenders' means over seeds."""
        value = float(sum(sign * self.values[one].mean() for one, sign in signs))
        drawn = np.sum([sign * self.drawn[one].mean(0) for one, sign in signs], axis=0)
        seeds = [of_seeds(self.values[one], self.drawn[one]) for one, _ in signs]
        return with_seeds(value, drawn, seeds, examples=self.count, confidence=confidence)


def _by_split(measured: Sequence[Measurement]) -> list[list[Measurement]]:
    """Runs in a row that were measured on the same examples."""
    return [list(runs) for _, runs in groupby(measured, key=lambda one: one.examples)]


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
    values = np.array([b.reduce(b.statistics.sum(0)) - a.reduce(a.statistics.sum(0)) for a, b in pairs])
    count, value = len(pairs[0][0].statistics), float(values.mean())
    low, high = with_seeds(
        value, moved.mean(0), [of_seeds(values, moved)], examples=count, confidence=bootstrap.confidence
    )
    difference = Score(value, low, high, count, pairs[0][1].better)
    return ContenderDifference(difference, verdict(difference))
