"""Citation recall."""

from __future__ import annotations

from luthier.api import Attempt, cited_numbers
from luthier_retrieval.metrics import RatioMetric, is_of, relevant_documents, shown_passages


class CitationRecall(RatioMetric):
    """The share of answers that cite a passage of a relevant document.

    Examples without a relevant document, and those whose prompt shows no relevant passage, do not count.
    """

    def terms(self, attempt: Attempt) -> tuple[float, float]:
        relevant = relevant_documents(attempt)
        numbers = {number for number, one in enumerate(shown_passages(attempt), 1) if is_of(one, relevant)}
        return bool(numbers & set(cited_numbers(attempt.output))), bool(numbers)
