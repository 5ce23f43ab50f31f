"""The stranger's method: likelihood, as an objective of its own sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

from luthier.api import (
    Adaptation,
    Batch,
    Example,
    LanguageModelMethod,
    Loss,
    Model,
    Optimizer,
    Row,
    encode_conversation,
    shifted_targets,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Shaped(LanguageModelMethod):
    """Train on the answers, each token's log-probability turned into a loss by `objective`."""

    def __init__(
        self, model: Model, adaptation: Adaptation, optimizer: Optimizer, objective: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__(model, adaptation, optimizer)
        self.objective = objective

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        return Row((encode_conversation(example, tokenizer),))

    def loss(self, batch: Batch) -> Loss:
        _, weights = shifted_targets(batch)
        losses = self.objective(self.token_log_probs(batch)).flatten()
        return Loss((losses * weights).sum(), weights.sum())
