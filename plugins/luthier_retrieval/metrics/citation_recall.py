"""Whether answers cite what they should."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.api import Attempt, Floats, cited_numbers, ratio
from luthier_retrieval.metrics import relevant, shown


class CitationRecall:
    """The share of answers that cite a passage of a relevant document.

    Of examples without a relevant document, and of those where none was shown, nothing is asked.
    """

    better = "higher"

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        return np.array([_of(one) for one in attempts], dtype=np.float64)

    def reduce(self, totals: Floats) -> Floats:
        return ratio(totals)


def _of(attempt: Attempt) -> tuple[bool, bool]:
    right = relevant(attempt)
    places = {number for number, one in enumerate(shown(attempt), 1) if one["document"] in right}
    return bool(places & set(cited_numbers(attempt.output))), bool(places)
