"""Who is stopped in a race, and how it ends.

Two claims are made of a pair, each at a level that is alpha over the number of ordered pairs and of phases, so that the
chance of any false one is at most alpha (Bonferroni), however many contenders there are and whenever one looks: that
one is worse than the other, and that it is not better by more than the margin. Racing is that of Maron & Moore (NeurIPS
1994), with confidence sequences in place of Hoeffding's bounds at fixed times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from luthier.evaluation.bootstrap import Floats
from luthier.evaluation.confidence_sequence import bounds, excludes

Why = Literal["worse", "no better"]


@dataclass(frozen=True)
class Stop:
    """Why a contender is given no more: it is worse than another one, or not better by more than the margin."""

    why: Why
    than: str
    examples: int
    seeds: int = 1


@dataclass
class Standing:
    """The state of a race: who is in it, who was stopped and why, and for whom others were stopped as no better.

    `champion` is the one that the others were compared with by the margin. It is stopped only by one that is better,
    which takes its place: so nobody is better than the last champion by more than one margin.
    """

    names: Sequence[str]
    margin: float
    alpha: float = 0.05
    phases: int = 1
    stopped: dict[str, Stop] = field(default_factory=dict)
    champion: str = ""
    failed: set[str] = field(default_factory=set)

    @property
    def running(self) -> list[str]:
        return [name for name in self.names if name not in self.stopped and name not in self.failed]

    def drop(self, name: str) -> list[str]:
        """Leave out one that failed; those that were stopped for it alone, and are in the race again."""
        self.failed.add(name)
        again = [one for one, stop in self.stopped.items() if stop.than == name]
        for one in again:
            del self.stopped[one]
        if self.champion == name:
            self.champion = ""
        return again

    @property
    def level(self) -> float:
        """Of each claim."""
        return self.alpha / max(1, len(self.names) * (len(self.names) - 1)) / self.phases

    @property
    def is_over(self) -> bool:
        return len(self.running) <= 1

    def look(self, scores: Mapping[str, Floats], seeds: int = 1) -> dict[str, Stop]:
        """Stop whom the scores seen so far exclude; those who were stopped now.

        `scores` [examples] of each that is running: in [0, 1], the greater the better, NaN where there is none.
        """
        running = self.running
        values = np.stack([scores[name] for name in running])
        means = _means(values)
        before = set(self.stopped)
        order = np.argsort(means, kind="stable")
        pairs = values[:, None, :] - values[None, :, :]
        worse = excludes(pairs, 0.0, self.level)
        for one in order:
            others = [other for other in order[::-1] if worse[one, other] and running[other] not in self.stopped]
            if others:
                self._stop(running[one], Stop("worse", running[others[0]], values.shape[1], seeds))
        self._stop_equals(running, values, means, seeds)
        return {name: stop for name, stop in self.stopped.items() if name not in before}

    def _stop_equals(self, running: Sequence[str], values: Floats, means: Floats, seeds: int) -> None:
        """Stop who looks equal to the leader within the margin, and is known not to be better by more."""
        left = [place for place, name in enumerate(running) if name not in self.stopped]
        leader = max(left, key=lambda place: (running[place] == self.champion, means[place]))
        for place in left:
            near = means[place] - means[leader] >= -self.margin
            if place != leader and near and excludes(values[place] - values[leader], self.margin, self.level):
                self.champion = running[leader]
                self._stop(running[place], Stop("no better", running[leader], values.shape[1], seeds))

    def _stop(self, name: str, stop: Stop) -> None:
        self.stopped[name] = stop
        if name == self.champion:
            self.champion = stop.than

    def compare_again(self, name: str, mine: Floats, leaders: Floats) -> None:
        """One that was stopped as no better than a former champion may be known to be worse than the last one."""
        if self.stopped[name].why == "no better" and excludes(mine - leaders, 0.0, self.level):
            stop = self.stopped[name]
            self.stopped[name] = Stop("worse", self.running[0], stop.examples, stop.seeds)

    def interval(self, one: Floats, other: Floats) -> tuple[float, float]:
        """The confidence sequence of the first's mean minus the second's, at the level of each claim."""
        return bounds(one - other, self.level)

    @property
    def equals(self) -> list[str]:
        """Who was stopped as no better than another by more than the margin."""
        return [name for name, stop in self.stopped.items() if stop.why == "no better"]

    @property
    def end(self) -> Literal["decided", "not distinguishable", "out of budget"]:
        """`decided`: all others are worse than the last one; `not distinguishable`: some are not, within the margin."""
        if not self.is_over:
            return "out of budget"
        return "not distinguishable" if self.equals else "decided"


def _means(values: Floats) -> Floats:
    seen = ~np.isnan(values)
    means: Floats = np.where(seen, values, 0.0).sum(-1) / np.maximum(seen.sum(-1), 1)
    return means
