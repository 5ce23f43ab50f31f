"""Accuracy of a classification."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.bootstrap import Floats, ratio, row_means
from luthier.evaluation.metrics.metric import Attempt


class Accuracy:
    """The share of outputs that are their reference, letter for letter but for white space at the ends."""

    better = "higher"
    bounded = True

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        return row_means(np.array([a.output.strip() == a.reference.strip() for a in attempts], dtype=np.float64))

    def reduce(self, totals: Floats) -> Floats:
        return ratio(totals)
