"""Nearest neighbours of the question by BM25."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from luthier.api import Bm25, Demonstration, Selection


class Nearest(Selection):
    """Show the examples with the largest BM25 score (Robertson & Zaragoza, 2009), the best one last."""

    fixed = False
    best_last = True

    def __init__(self, *, k1: float = 1.5, b: float = 0.75) -> None:
        self.k1, self.b = k1, b

    def learn(self, pool: Sequence[Demonstration]) -> None:
        self.index = Bm25([demonstration.text for demonstration in pool], k1=self.k1, b=self.b)

    def __call__(self, text: str) -> Iterable[int]:
        yield from self.index.ranked(text)
