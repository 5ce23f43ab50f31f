"""How early the first right document was found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.api import Attempt, Floats, ratio
from luthier_retrieval.metrics import found, relevant


class Mrr:
    """The mean of 1 / rank of the first relevant document (Voorhees, 1999), 0 where none was found.

    Examples without a relevant document do not count.
    """

    better = "higher"

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        return np.array([_of(found(one), relevant(one)) for one in attempts], dtype=np.float64)

    def reduce(self, totals: Floats) -> Floats:
        return ratio(totals)


def _of(names: list[str], right: set[str]) -> tuple[float, float]:
    ranks = (rank for rank, name in enumerate(names, 1) if name in right)
    first = next(ranks, None)
    return (1 / first if first else 0.0), float(bool(right))
