"""Citation precision."""

from __future__ import annotations

from luthier.api import Attempt, cited_numbers
from luthier_retrieval.metrics import RatioMetric, is_of, relevant_documents, shown_passages


class CitationPrecision(RatioMetric):
    """The share of all citations that refer to a passage of a relevant document; 0 where nothing is cited.

    A number without a passage is a wrong citation.
    """

    def terms(self, attempt: Attempt) -> tuple[float, float]:
        passages, relevant = shown_passages(attempt), relevant_documents(attempt)
        cited = cited_numbers(attempt.output)
        valid = [number for number in cited if 0 < number <= len(passages)]
        return sum(is_of(passages[number - 1], relevant) for number in valid), len(cited)
