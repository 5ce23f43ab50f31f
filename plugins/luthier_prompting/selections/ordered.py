"""Examples in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from luthier.api import Demonstration, Selection


class Ordered(Selection):
    """Show the first examples in the order of the training data, or by length, the shortest first (`by: length`)."""

    fixed = True
    best_last = False

    def __init__(self, *, by: Literal["data", "length"] = "data") -> None:
        self.by = by
        self.order: list[int] = []

    def learn(self, pool: Sequence[Demonstration]) -> None:
        lengths = [len(shown.question) + len(shown.answer) if self.by == "length" else 0 for shown in pool]
        self.order = sorted(range(len(pool)), key=lengths.__getitem__)

    def __call__(self, text: str) -> Iterable[int]:
        yield from self.order
