"""A network that reads the question and a passage together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from threading import Lock
from typing import Any

import torch

from luthier.api import RecipeError, StoredModel, load_tokenizer, refuse_code, refuse_pickles, without_progress_bars
from luthier_retrieval.chunking import Passage
from luthier_retrieval.reranking import Reranking, by_score


class CrossEncoder(Reranking):
    """Order passages by what a network with one output says of (question, passage) (Nogueira & Cho, 2019).

    `model` is an answer to the question `model` with a head for sequence classification; pairs are cut to `length`
    tokens, at the end of the passage.
    """

    def __init__(self, *, model: StoredModel, length: int = 512, batch: int = 16) -> None:
        self.model, self.length, self.batch = model, length, batch
        self._one_at_a_time = Lock()

    def __call__(self, question: str, passages: Sequence[Passage]) -> list[int]:
        network, tokenizer = self._loaded
        scores: list[float] = []
        with self._one_at_a_time, torch.inference_mode():
            for start in range(0, len(passages), self.batch):
                texts = [passage.searched for passage in passages[start : start + self.batch]]
                rows = tokenizer(
                    [question] * len(texts), texts,
                    padding=True, truncation="only_second", max_length=self.length, return_tensors="pt",
                )  # fmt: skip
                scores += network(**rows).logits[:, 0].tolist()
        return by_score(scores)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModelForSequenceClassification

        folder = self.model.folder()
        refuse_code(folder, owner=self.model.name)
        refuse_pickles((file.name for file in folder.iterdir()), owner=self.model.name)
        with without_progress_bars():
            network = AutoModelForSequenceClassification.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32
            )
        if network.config.num_labels != 1:
            raise RecipeError(
                f"{self.model.name} has {network.config.num_labels} outputs, and a cross-encoder has one.",
                where="prompt.reranking.model",
            )
        return network.eval(), load_tokenizer(folder, owner=self.model.name)
