"""A method that listens to the end of a poem."""

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
    TokenSequence,
    encode_conversation,
    shifted_targets,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Objective = Callable[[Tensor], Tensor]


class Cadence(LanguageModelMethod):
    """Learn the whole poem, its last third more.

    `objective` turns log p(token), float32 [tokens], into a loss for each; `last_line` weighs the last third of the
    answer's tokens.
    """

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        objective: Objective,
        last_line: float = 2.0,
    ) -> None:
        super().__init__(model, adaptation, optimizer)
        self.objective, self.last_line = objective, last_line

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        sequence = encode_conversation(example, tokenizer)
        weights = sequence.weights.copy()
        answered = weights.nonzero()[0]
        weights[answered[len(answered) * 2 // 3 :]] *= self.last_line
        return Row((TokenSequence(sequence.ids, weights),))

    def loss(self, batch: Batch) -> Loss:
        _, weights = shifted_targets(batch)
        log_probs = self.token_log_probs(batch).flatten()
        heard = weights > 0
        return Loss((self.objective(log_probs[heard]) * weights[heard]).sum(), weights.sum())
