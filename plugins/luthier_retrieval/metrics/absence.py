"""Abstention accuracy."""

from __future__ import annotations

from luthier.api import Attempt, says_not_found
from luthier_retrieval.metrics import RatioMetric, relevant_documents


class Absence(RatioMetric):
    """The share of questions on which the model abstains if and only if no document is relevant.

    An answer abstains if it contains `absent`, in any case.
    """

    def __init__(self, *, absent: str = "This is not in the documents.") -> None:
        self.absent = absent

    def terms(self, attempt: Attempt) -> tuple[float, float]:
        return float(says_not_found(attempt.output, self.absent) == (not relevant_documents(attempt))), 1.0
