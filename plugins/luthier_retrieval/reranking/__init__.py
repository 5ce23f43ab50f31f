"""How what a search found is ordered anew. One way a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from luthier_retrieval.chunking import Passage


class Reranking(Protocol):
    """Looks at a question and each passage together, which a search over all passages cannot afford."""

    def __call__(self, question: str, passages: Sequence[Passage]) -> list[int]:
        """The places of the passages, the best one first."""


def by_score(scores: Sequence[float]) -> list[int]:
    """The places of scores, the largest first; of equal ones the earlier one."""
    return sorted(range(len(scores)), key=lambda place: (-scores[place], place))
