"""How early the right documents were found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from luthier.api import Attempt, Floats, RecipeError, ratio
from luthier_retrieval.metrics import found, relevant


class Ndcg:
    """The mean over examples of nDCG@k (Järvelin & Kekäläinen, 2002), a document being relevant or not.

    DCG is the sum of 1 / log2(1 + rank) over the relevant among the first `k`, divided by the best that could be.
    Examples without a relevant document do not count.
    """

    better = "higher"

    def __init__(self, *, k: int = 10) -> None:
        if k < 1:
            raise RecipeError(f"nDCG@{k} looks at nothing.", hint="Use k=1 or more.")
        self.k = k

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        return np.array([self._of(found(one), relevant(one)) for one in attempts], dtype=np.float64)

    def _of(self, names: list[str], right: set[str]) -> tuple[float, float]:
        if not right:
            return 0.0, 0.0
        gained = _gain(rank for rank, name in enumerate(names[: self.k], 1) if name in right)
        return gained / _gain(range(1, min(self.k, len(right)) + 1)), 1.0

    def reduce(self, totals: Floats) -> Floats:
        return ratio(totals)


def _gain(ranks: Iterable[int]) -> float:
    return sum(1 / math.log2(1 + rank) for rank in ranks)
