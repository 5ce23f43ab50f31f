"""Faithfulness of an answer to its sources."""

from __future__ import annotations

from collections import Counter

from luthier.api import Attempt, normalised_text, says_not_found, without_citations
from luthier_retrieval.metrics import RatioMetric, shown_passages


class Faithfulness(RatioMetric):
    """The mean share of an answer's words that occur in the passages of its prompt: K-Precision (Adlakha et al., 2024).

    A word counts as often as it occurs in the passages, after SQuAD's normalisation. An empty answer, and one that
    contains `absent`, claims nothing and does not count.
    """

    def __init__(self, *, absent: str = "This is not in the documents.") -> None:
        self.absent = absent

    def terms(self, attempt: Attempt) -> tuple[float, float]:
        answer = Counter(normalised_text(without_citations(attempt.output)).split())
        if not answer or says_not_found(attempt.output, self.absent):
            return 0.0, 0.0
        text = " ".join(f"{one['heading']} {one['text']}" for one in shown_passages(attempt))
        passages = Counter(normalised_text(text).split())
        return (answer & passages).total() / answer.total(), 1.0
