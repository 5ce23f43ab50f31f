"""How many of the right documents were found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.api import Attempt, Floats, RecipeError, ratio
from luthier_retrieval.metrics import found, relevant


class Recall:
    """The mean share of an example's relevant documents that are among the first `k` found: recall@k.

    Examples without a relevant document do not count.
    """

    better = "higher"

    def __init__(self, *, k: int = 10) -> None:
        if k < 1:
            raise RecipeError(f"recall@{k} looks at nothing.", hint="Use k=1 or more.")
        self.k = k

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        return np.array([self._of(found(one), relevant(one)) for one in attempts], dtype=np.float64)

    def _of(self, names: list[str], right: set[str]) -> tuple[float, float]:
        return (len(right & set(names[: self.k])) / len(right), 1.0) if right else (0.0, 0.0)

    def reduce(self, totals: Floats) -> Floats:
        return ratio(totals)
