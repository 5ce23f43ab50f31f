"""Examples balanced by label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from luthier.api import DataError, Demonstration, Selection


class Balanced(Selection):
    """Show random examples of each label in turn, so that the prompt is balanced; `seed` draws them.

    With more labels than shots some labels are not shown. DataError where all answers differ.
    """

    fixed = True
    best_last = False

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
        self.order: list[int] = []

    def learn(self, pool: Sequence[Demonstration]) -> None:
        shuffled = np.random.default_rng(self.seed).permutation(len(pool)).tolist()
        by_label: dict[str, list[int]] = {}
        for number in shuffled:
            by_label.setdefault(pool[number].label, []).append(number)
        if len(by_label) == len(pool) > 1:
            raise DataError(
                f"All {len(pool)} answers differ, so there are no labels to balance.",
                where="prompt.selection",
                hint="Use prompt/selection=random, nearest or diverse.",
            )
        rounds = max(map(len, by_label.values()), default=0)
        self.order = [numbers[at] for at in range(rounds) for numbers in by_label.values() if at < len(numbers)]

    def __call__(self, text: str) -> Iterable[int]:
        yield from self.order
