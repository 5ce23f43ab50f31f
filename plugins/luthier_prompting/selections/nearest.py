"""The examples most like the question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from luthier.api import Bm25
from luthier_prompting.demonstration import Demonstration
from luthier_prompting.selection import Selection


class Nearest(Selection):
    """Show the examples that share the most telling words with the question, by BM25; the nearest one stands last."""

    fixed = False
    best_last = True

    def __init__(self, *, k1: float = 1.5, b: float = 0.75) -> None:
        self.k1, self.b = k1, b

    def learn(self, pool: Sequence[Demonstration]) -> None:
        self.index = Bm25([one.text for one in pool], k1=self.k1, b=self.b)

    def __call__(self, text: str) -> Iterable[int]:
        yield from self.index.ranked(text)
