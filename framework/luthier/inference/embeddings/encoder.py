"""Embeddings by a transformer encoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from luthier.inference.embeddings import Embedding, Vectors, of_length_one
from luthier.models.encoders import load_encoder
from luthier.models.stored import StoredModel


class Encoder(Embedding):
    """An encoder's last hidden states, as their mean or as that of the first token (Reimers & Gurevych, 2019).

    `model` is an answer to the question `model`: of a hub, in a folder, in a wheel. Texts are cut to `length` tokens.
    Some encoders want words before a question and before a text: `before_question`, `before_text`.
    """

    def __init__(
        self,
        *,
        model: StoredModel,
        pooling: Literal["mean", "first"] = "mean",
        length: int = 256,
        batch: int = 32,
        before_question: str = "",
        before_text: str = "",
    ) -> None:
        self.model, self.pooling, self.length, self.batch = model, pooling, length, batch
        self.before_question, self.before_text = before_question, before_text
        self._one_at_a_time = Lock()

    def __call__(self, texts: Sequence[str], *, is_query: bool = False) -> Vectors:
        before = self.before_question if is_query else self.before_text
        network, tokenizer = self._loaded
        found = np.zeros((len(texts), network.config.hidden_size), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))  # little to pad
        with self._one_at_a_time, torch.inference_mode():
            for start in range(0, len(order), self.batch):
                taken = order[start : start + self.batch]
                rows = tokenizer(
                    [before + texts[number] for number in taken],
                    padding=True, truncation=True, max_length=self.length, return_tensors="pt",
                )  # fmt: skip
                found[taken] = self._pooled(network(**rows).last_hidden_state, rows["attention_mask"]).numpy()
        return of_length_one(found)

    def _pooled(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """[B, T, H] to [B, H]."""
        if self.pooling == "first":
            return hidden[:, 0]
        weights = mask[..., None].to(hidden.dtype)
        return (hidden * weights).sum(1) / weights.sum(1)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModel

        return load_encoder(self.model, AutoModel)

    def identity(self) -> str:
        told = [self.model.lineage()["sha256"], self.pooling, self.length, self.before_question, self.before_text]
        return json.dumps(told)
