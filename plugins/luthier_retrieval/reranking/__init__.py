"""Reranking of the passages that a search retrieved, one class a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from luthier_retrieval.chunking import Passage


class Reranking(Protocol):
    """Scores a question and each passage together, which is too costly for a search over all passages."""

    def __call__(self, question: str, passages: Sequence[Passage]) -> list[int]:
        """The positions of the passages, the best first."""


def by_score(scores: Sequence[float]) -> list[int]:
    """The positions of the scores, the largest first; of equal scores the earlier one."""
    return sorted(range(len(scores)), key=lambda position: (-scores[position], position))
