"""Whether what is cited is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.api import Attempt, Floats, cited_numbers, ratio
from luthier_retrieval.metrics import relevant, shown


class CitationPrecision:
    """The share of all citations that name a passage of a relevant document; 0 where nothing is cited.

    A number without a passage is a wrong citation.
    """

    better = "higher"

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        return np.array([_of(one) for one in attempts], dtype=np.float64)

    def reduce(self, totals: Floats) -> Floats:
        return ratio(totals)


def _of(attempt: Attempt) -> tuple[int, int]:
    passages, right, numbers = shown(attempt), relevant(attempt), cited_numbers(attempt.output)
    return sum(0 < one <= len(passages) and passages[one - 1]["document"] in right for one in numbers), len(numbers)
