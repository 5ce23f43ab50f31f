"""Supervised fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from luthier.api import (
    Adaptation,
    Batch,
    DataError,
    Example,
    LikelihoodMethod,
    Loss,
    Model,
    Optimizer,
    Row,
    encode_conversation,
)
from luthier_sft.neftune import noisy_embeddings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class SupervisedFineTuning(LikelihoodMethod):
    """Raise the likelihood of the assistant's turns, given the conversation before them.

    The loss is the weighted sum of -log p(token | tokens before it) over the trained tokens, in nats.
    `neftune_alpha` adds uniform noise of that scale to the embeddings while training (NEFTune, Jain et al., 2023).
    `router_aux_loss_coef` weights the load-balancing loss of a mixture of experts; None is the architecture's own
    coefficient where routers are trained, and 0 where not.
    """

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        neftune_alpha: float = 0.0,
        router_aux_loss_coef: float | None = None,
    ) -> None:
        super().__init__(model, adaptation, optimizer, router_aux_loss_coef=router_aux_loss_coef)
        self.neftune_alpha = neftune_alpha

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        if example.get("liked") is False:
            name = next(name for name in ("kto_tag", "label", "liked") if name in example)
            raise DataError(
                f"The answer is marked as not liked (`{name}`), and supervised fine-tuning would learn to give it.",
                where=str(example.get("where", "")),
                hint="Learn from liked and disliked answers with method=kto, or leave such rows out; where the column "
                f"is no vote, rename it: 'data.rename={{{name}: {name}_unused}}'.",
            )
        return Row((encode_conversation(example, tokenizer),))

    def loss(self, batch: Batch) -> Loss:
        with noisy_embeddings(self.network, batch, self.neftune_alpha if self.training else 0.0):
            return self.cross_entropy(batch)

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        return self.cross_entropies(rows)
