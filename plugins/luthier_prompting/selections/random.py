"""Random examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from luthier.api import Demonstration, Selection, question_key


class Random(Selection):
    """Show random examples: one draw for all questions or, with `each`, one for each question.

    `seed`, and with `each` the question, determine the draw.
    """

    best_last = False

    def __init__(self, *, seed: int = 0, each: bool = False) -> None:
        self.seed, self.each, self.fixed = seed, each, not each
        self.count = 0

    def learn(self, pool: Sequence[Demonstration]) -> None:
        self.count = len(pool)

    def __call__(self, text: str) -> Iterable[int]:
        seeds = [self.seed, int.from_bytes(question_key(text)[:8], "little")] if self.each else [self.seed]
        yield from np.random.default_rng(seeds).permutation(self.count).tolist()
