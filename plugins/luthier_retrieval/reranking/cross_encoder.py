"""Reranking by a cross-encoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from threading import Lock
from typing import Any

import torch

from luthier.api import RecipeError, StoredModel, load_encoder
from luthier_retrieval.chunking import Passage
from luthier_retrieval.reranking import Reranking, by_score


class CrossEncoder(Reranking):
    """Order passages by the single logit of a network that reads (question, passage) (Nogueira & Cho, 2019).

    `model` is an answer to the question `model` with a head for sequence classification. Pairs are truncated to
    `length` tokens, at the end of the passage, and scored `batch` at a time.
    """

    def __init__(self, *, model: StoredModel, length: int = 512, batch: int = 16) -> None:
        self.model, self.length, self.batch = model, length, batch
        self._lock = Lock()

    def __call__(self, question: str, passages: Sequence[Passage]) -> list[int]:
        network, tokenizer = self._loaded
        scores: list[float] = []
        with self._lock, torch.inference_mode():
            for start in range(0, len(passages), self.batch):
                texts = [passage.indexed_text for passage in passages[start : start + self.batch]]
                rows = tokenizer(
                    [question] * len(texts), texts,
                    padding=True, truncation="only_second", max_length=self.length, return_tensors="pt",
                )  # fmt: skip
                scores += network(**rows).logits[:, 0].tolist()
        return by_score(scores)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModelForSequenceClassification

        network, tokenizer = load_encoder(self.model, AutoModelForSequenceClassification)
        if network.config.num_labels != 1:
            raise RecipeError(
                f"{self.model.name} has {network.config.num_labels} outputs, and a cross-encoder has one.",
                where="prompt.reranking.model",
            )
        return network, tokenizer
