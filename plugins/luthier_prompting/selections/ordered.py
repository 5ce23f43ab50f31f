"""Examples in an order that you can foresee."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from luthier_prompting.demonstration import Demonstration
from luthier_prompting.selection import Selection


class Ordered(Selection):
    """Take the first examples: as the training data has them, or the shortest ones first (`by: length`)."""

    fixed = True
    best_last = False

    def __init__(self, *, by: Literal["data", "length"] = "data") -> None:
        self.by = by
        self.order: list[int] = []

    def learn(self, pool: Sequence[Demonstration]) -> None:
        lengths = [len(one.question) + len(one.answer) if self.by == "length" else 0 for one in pool]
        self.order = sorted(range(len(pool)), key=lengths.__getitem__)

    def __call__(self, text: str) -> Iterable[int]:
        yield from self.order
