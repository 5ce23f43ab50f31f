"""The rounds of a race: examples that double from round to round, then the next seed, for those still in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from luthier.errors import LuthierError, RecipeError
from luthier.workflows.racing.decisions import Standing, Stop

if TYPE_CHECKING:
    from luthier.evaluation.bootstrap import Floats
    from luthier.reporting.console import Console
    from luthier.workflows.racing.racer import Racer

FIRST = 32
"""Examples of the first round."""
FEWEST = 2


def rounds(count: int) -> list[int]:
    """How many examples have been measured after each round, the last time all of them."""
    sizes = [FIRST]
    while sizes[-1] < count:
        sizes.append(2 * sizes[-1])
    return [*sizes[:-1], count]


@dataclass
class Race:
    """Contenders by name, and what has become of them.

    Each seed is a phase: the scores are then means over the seeds so far, and each phase has its share of alpha.
    """

    racers: dict[str, Racer]
    count: int
    seeds: int
    margin: float
    console: Console
    standing: Standing = field(init=False)
    scores: dict[str, Floats] = field(default_factory=dict)
    """Of each contender: the values of the examples in the last round it was in."""
    used: dict[str, tuple[int, list[int]]] = field(default_factory=dict)
    """Of each contender: its seeds and its rounds then."""

    def __post_init__(self) -> None:
        self.standing = Standing(list(self.racers), self.margin, phases=self.seeds)

    def run(self) -> None:
        """All rounds, until one contender is left; RecipeError where they were measured on different examples.

        A contender that fails is left out; raises its error where fewer than two did not fail.
        """
        for seeds in range(1, self.seeds + 1):
            sizes = rounds(self.count)
            for number in range(1, len(sizes) + 1):
                self._round(seeds, sizes[:number])
                if self.standing.is_over:
                    self._compare_again()
                    return

    def _compare_again(self) -> None:
        leader = self.standing.running[0]
        for name in self.standing.equals:
            self.standing.compare_again(name, self.scores[name], self.racers[leader].scores(*self.used[name]))

    def _round(self, seeds: int, sizes: list[int]) -> None:
        waiting = list(self.standing.running)
        while waiting:
            name = waiting.pop(0)
            try:
                self.scores[name], self.used[name] = self.racers[name].scores(seeds, sizes), (seeds, sizes)
            except LuthierError as error:
                waiting += self._fail(name, error)
        running = self.standing.running
        self._refuse_other_examples(running, seeds)
        for name, stop in self.standing.look({name: self.scores[name] for name in running}, seeds).items():
            self.console.say(f"{name} is stopped after {stop.examples} examples: {self.reason(stop)}")

    def _fail(self, name: str, error: LuthierError) -> list[str]:
        """Leave it out; the contenders that had lost to it alone, and are in the race again."""
        self.console.say(f"warning: {name} failed and is left out: {error}")
        self.racers[name].failed = error
        self.scores.pop(name, None)
        again = self.standing.drop(name)
        if len(self.racers) - len(self.failed) < FEWEST:
            error.message = f"All contenders but one failed; {name}: {error.message}"
            raise error
        return again

    @property
    def failed(self) -> list[Racer]:
        return [racer for racer in self.racers.values() if racer.failed is not None]

    def _refuse_other_examples(self, running: list[str], seeds: int) -> None:
        digests = {name: self.racers[name].digests(seeds) for name in running}
        lengths = {len(self.scores[name]) for name in running}
        parts = {part for of_one in digests.values() for part in of_one}
        if len(lengths) > 1 or any(len({of.get(part) for of in digests.values() if part in of}) > 1 for part in parts):
            message = f"{', '.join(running)} were measured on different examples."
            raise RecipeError(message, hint="Give all of them the same data.")

    def reason(self, stop: Stop) -> str:
        """Why a contender was stopped."""
        if stop.why == "worse":
            return f"worse than {stop.than}"
        return f"not better than {stop.than} by more than {self.margin:g}"

    @property
    def leader(self) -> str:
        """The last one, or of several the one with the greatest mean."""
        return max(self.standing.running, key=lambda name: float(np.nanmean(self.scores[name])))

    def against_leader(self, name: str) -> tuple[float, float, float]:
        """The mean difference from the leader and its confidence sequence, on the examples and seeds of both."""
        mine = self.scores[name]
        theirs = self.racers[self.leader].scores(*self.used[name])
        both = mine - theirs
        return float(np.nanmean(both)), *self.standing.interval(mine, theirs)
