"""Mean reciprocal rank."""

from __future__ import annotations

from luthier.api import Attempt
from luthier_retrieval.metrics import RatioMetric, relevant_documents, retrieved_documents


class Mrr(RatioMetric):
    """The mean of 1 / rank of the first relevant document (Voorhees, 1999), 0 where none was retrieved.

    Examples without a relevant document do not count.
    """

    def terms(self, attempt: Attempt) -> tuple[float, float]:
        retrieved, relevant = retrieved_documents(attempt), relevant_documents(attempt)
        rank = next((rank for rank, name in enumerate(retrieved, 1) if name in relevant), None)
        return (1 / rank if rank else 0.0), float(bool(relevant))
