"""Whether a model knows when it cannot know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.api import Attempt, Floats, ratio, row_means, says_not_found
from luthier_retrieval.metrics import relevant


class Absence:
    """The share of answers that are right about whether there is one: `absent` exactly where no document is relevant.

    An answer is `absent` if these words stand in it, in any case.
    """

    better = "higher"

    def __init__(self, *, absent: str = "This is not in the documents.") -> None:
        self.absent = absent

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        right = [says_not_found(one.output, self.absent) == (not relevant(one)) for one in attempts]
        return row_means(np.array(right, dtype=np.float64))

    def reduce(self, totals: Floats) -> Floats:
        return ratio(totals)
