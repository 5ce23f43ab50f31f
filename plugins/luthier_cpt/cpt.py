"""Continued pre-training."""

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
    Measure,
    Model,
    Optimizer,
    RecipeError,
    Row,
    encode_text,
    is_embedding_table,
    split_row,
)
from luthier_cpt.cross_document_attention import across_documents

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def _bits_per_byte(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bits per byte from (nats, bytes), which do not depend on the tokenizer."""
    bits: NDArray[np.float64] = totals[..., 0] / (totals[..., 1] * np.log(2))
    return bits


class ContinuedPretraining(LikelihoodMethod):
    """Raise the likelihood of every token of unlabelled text, each given those before it in its document.

    Documents end with EOS, and attention does not cross from one to the next, unless `across_documents`. Held-out
    text is evaluated in windows of `window` tokens, whatever the length of training blocks, so that runs can be
    compared; each token is predicted once, and `bits_per_byte` compares models whose tokenizers differ.
    `embedding_rate` is the factor of the learning rate for the embeddings and the LM head. `router_aux_loss_coef`
    weights the load-balancing loss of a mixture of experts; None is the architecture's own coefficient where routers
    are trained, and 0 where not.
    """

    resumable = ("embedding_rate",)
    measures = {"bits_per_byte": Measure(_bits_per_byte, "lower")}  # noqa: RUF012

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        across_documents: bool = False,
        window: int = 1024,
        embedding_rate: float = 1.0,
        router_aux_loss_coef: float | None = None,
    ) -> None:
        super().__init__(model, adaptation, optimizer, router_aux_loss_coef=router_aux_loss_coef)
        if window < 2:
            raise RecipeError(f"A window of {window} tokens predicts nothing.", where="method.window")
        self.across_documents, self.window, self.embedding_rate = across_documents, window, embedding_rate

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        if "text" not in example:
            raise DataError(
                "method=cpt reads `text`, which this example does not have.",
                where=str(example.get("where", "")),
                hint="Rename the column that holds it with data.rename, or train on conversations with method=sft.",
            )
        sequence = encode_text(example, tokenizer)
        first = str(tokenizer.decode(sequence.ids[:1].tolist(), skip_special_tokens=True))  # which is not predicted
        return Row((sequence,), {"bytes": float(len(example["text"].encode()) - len(first.encode()))})

    def as_trained(self, batch: Batch) -> Batch:
        return across_documents(batch) if self.across_documents else batch

    def loss(self, batch: Batch) -> Loss:
        return self.cross_entropy(self.as_trained(batch))

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        windows = [split_row(row, self.window) for row in rows]
        losses = self.cross_entropies([window for of_row in windows for window in of_row])
        firsts = np.cumsum([0, *(len(of_row) for of_row in windows[:-1])])
        return np.add.reduceat(losses, firsts, axis=0) if len(rows) else losses

    def measured(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        losses = self.losses(rows)
        return {
            "loss": losses,
            "bits_per_byte": np.stack([losses[:, 0], [row.values["bytes"] for row in rows]], axis=1),
        }

    def rate(self, name: str) -> float:
        return super().rate(name) * (
            self.embedding_rate if is_embedding_table(name) and "prompt_encoder" not in name else 1.0
        )
