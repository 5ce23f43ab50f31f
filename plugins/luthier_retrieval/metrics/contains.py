"""Inclusion of the reference in the answer."""

from __future__ import annotations

from luthier.api import Attempt, normalised_text, without_citations
from luthier_retrieval.metrics import RatioMetric


class Contains(RatioMetric):
    """The share of answers that contain their reference as whole words, after SQuAD's normalisation.

    Citations are removed first.
    """

    bounded = True

    def terms(self, attempt: Attempt) -> tuple[float, float]:
        reference = normalised_text(without_citations(attempt.reference))
        answer = normalised_text(without_citations(attempt.output))
        return float(f" {reference} " in f" {answer} "), 1.0
