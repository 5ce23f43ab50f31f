"""Whether an answer says no more than its sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from luthier.api import Attempt, Floats, normalised_text, ratio, says_not_found, without_citations
from luthier_retrieval.metrics import shown


class Faithfulness:
    """The mean share of an answer's words that stand in the passages it was shown: K-Precision (Adlakha et al., 2024).

    A word counts as often as the passages have it, after SQuAD's normalisation. An answer that says `absent`, or
    nothing, claims nothing and does not count.
    """

    better = "higher"

    def __init__(self, *, absent: str = "This is not in the documents.") -> None:
        self.absent = absent

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        return np.array([self._of(one) for one in attempts], dtype=np.float64)

    def _of(self, attempt: Attempt) -> tuple[float, float]:
        said = Counter(normalised_text(without_citations(attempt.output)).split())
        if not said or says_not_found(attempt.output, self.absent):
            return 0.0, 0.0
        known = Counter(normalised_text(" ".join(f"{one['heading']} {one['text']}" for one in shown(attempt))).split())
        return (said & known).total() / said.total(), 1.0

    def reduce(self, totals: Floats) -> Floats:
        return ratio(totals)
