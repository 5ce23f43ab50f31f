"""Normalised discounted cumulative gain."""

from __future__ import annotations

import math
from collections.abc import Iterable

from luthier.api import Attempt, RecipeError
from luthier_retrieval.metrics import RatioMetric, relevant_documents, retrieved_documents


class Ndcg(RatioMetric):
    """The mean over examples of nDCG@k (Järvelin & Kekäläinen, 2002) with binary relevance.

    DCG is the sum of 1 / log2(1 + rank) over the relevant documents among the first `k`; it is divided by that of an
    ideal ranking. Examples without a relevant document do not count.
    """

    def __init__(self, *, k: int = 10) -> None:
        if k < 1:
            raise RecipeError(f"nDCG@{k} measures no document.", hint="Use k=1 or more.")
        self.k = k

    def terms(self, attempt: Attempt) -> tuple[float, float]:
        retrieved, relevant = retrieved_documents(attempt), relevant_documents(attempt)
        if not relevant:
            return 0.0, 0.0
        gained = _dcg(rank for rank, name in enumerate(retrieved[: self.k], 1) if name in relevant)
        return gained / _dcg(range(1, min(self.k, len(relevant)) + 1)), 1.0


def _dcg(ranks: Iterable[int]) -> float:
    return sum(1 / math.log2(1 + rank) for rank in ranks)
