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
    LanguageModelMethod,
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
from luthier_cpt.cross_document_attention import joined

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def _bits(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bits a byte, from (nats, bytes): a perplexity that does not depend on the tokenizer."""
    bits: NDArray[np.float64] = totals[..., 0] / (totals[..., 1] * np.log(2))
    return bits


class ContinuedPretraining(LanguageModelMethod):
    """Raise the likelihood of every token of unlabelled text, each given those before it in its document.

    A document ends with EOS, and attention does not cross from one to the next, unless `across_documents`. Held-out
    text is measured in windows of `window` tokens, whatever the length of blocks, so that runs can be compared; each
    token of it counts once, and `bits_per_byte` compares models whose tokenizers differ. `embedding_rate` is the
    factor of the learning rate for the embeddings and the head.
    """

    measures = {"bits_per_byte": Measure(_bits, "lower")}  # noqa: RUF012

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        across_documents: bool = False,
        window: int = 1024,
        embedding_rate: float = 1.0,
    ) -> None:
        super().__init__(model, adaptation, optimizer)
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
        whole = encode_text(example, tokenizer)
        unseen = str(tokenizer.decode(whole.ids[:1].tolist(), skip_special_tokens=True))  # the first token is nobody's
        return Row((whole,), {"bytes": float(len(example["text"].encode()) - len(unseen.encode()))})

    def loss(self, batch: Batch) -> Loss:
        return self.cross_entropy(joined(batch) if self.across_documents else batch)

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        cut = [split_row(row, self.window) for row in rows]
        each = self.cross_entropies([piece for of_row in cut for piece in of_row])
        firsts = np.cumsum([0, *(len(of_row) for of_row in cut[:-1])])
        return np.add.reduceat(each, firsts, axis=0) if len(rows) else each

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
