"""Recall at k."""

from __future__ import annotations

from luthier.api import Attempt, RecipeError
from luthier_retrieval.metrics import RatioMetric, relevant_documents, retrieved_documents


class Recall(RatioMetric):
    """The mean share of an example's relevant documents that are among the first `k` retrieved: recall@k.

    Examples without a relevant document do not count.
    """

    def __init__(self, *, k: int = 10) -> None:
        if k < 1:
            raise RecipeError(f"recall@{k} measures no document.", hint="Use k=1 or more.")
        self.k = k

    def terms(self, attempt: Attempt) -> tuple[float, float]:
        retrieved, relevant = retrieved_documents(attempt), relevant_documents(attempt)
        return (len(relevant & set(retrieved[: self.k])) / len(relevant), 1.0) if relevant else (0.0, 0.0)
