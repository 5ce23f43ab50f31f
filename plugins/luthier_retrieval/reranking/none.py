"""No reranking."""

from __future__ import annotations

from collections.abc import Sequence

from luthier_retrieval.chunking import Passage
from luthier_retrieval.reranking import Reranking


class NoReranking(Reranking):
    """Keep the order of the search."""

    def __call__(self, question: str, passages: Sequence[Passage]) -> list[int]:
        return list(range(len(passages)))
