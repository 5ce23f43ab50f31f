"""Examples by chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from luthier_prompting.demonstration import Demonstration, question_key
from luthier_prompting.selection import Selection


class Random(Selection):
    """Draw examples by `seed`: once for all questions, or anew for `each`, a question always meeting the same."""

    best_last = False

    def __init__(self, *, seed: int = 0, each: bool = False) -> None:
        self.seed, self.each, self.fixed = seed, each, not each
        self.count = 0

    def learn(self, pool: Sequence[Demonstration]) -> None:
        self.count = len(pool)

    def __call__(self, text: str) -> Iterable[int]:
        drawn = [self.seed, int.from_bytes(question_key(text)[:8], "little")] if self.each else [self.seed]
        yield from np.random.default_rng(drawn).permutation(self.count).tolist()
