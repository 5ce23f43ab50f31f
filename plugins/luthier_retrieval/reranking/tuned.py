"""Reranking by a cross-encoder that an earlier run trained."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from threading import Lock

from luthier.api import Artifact, RecipeError, load
from luthier_retrieval.chunking import Passage
from luthier_retrieval.reranking import Reranking


class TunedReranking(Reranking):
    """Order passages by the score that an earlier run of `method=rerank` gives them for the question."""

    def __init__(self, *, path: str) -> None:
        self.path = path
        self._lock = Lock()

    def __call__(self, question: str, passages: Sequence[Passage]) -> list[int]:
        with self._lock:
            return [one.number for one in self._model.rerank(question, [passage.indexed_text for passage in passages])]

    @cached_property
    def _model(self) -> Artifact:
        model = load(self.path)
        if model.reranker is None:
            raise RecipeError(
                f"The run in {self.path} trained no reranker.",
                where="prompt.reranking.path",
                hint="Name a run of method=rerank.",
            )
        return model
