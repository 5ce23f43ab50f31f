"""Continued pre-training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from luthier.data import encode
from luthier.data.overlong import pieces
from luthier.errors import DataError, RecipeError
from luthier.language_model import LanguageModelMethod
from luthier.optimizers.groups import is_table
from luthier.parts import Adaptation, Batch, Example, Loss, Model, Optimizer, Row
from luthier_cpt.joined import joined

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class ContinuedPretraining(LanguageModelMethod):
    """Raise the likelihood of every token of unlabelled text, each given those before it in its document.

    A document ends with EOS, and attention does not cross from one to the next, unless `across_documents`. Held-out
    text is measured in windows of `window` tokens, whatever the length of blocks, so that runs can be compared; each
    token of it counts once. `embedding_rate` is the factor of the learning rate for the embeddings and the head.
    """

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
        return Row((encode.text(example, tokenizer),))

    def loss(self, batch: Batch) -> Loss:
        return self.cross_entropy(joined(batch) if self.across_documents else batch)

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        cut = [pieces(row, self.window) for row in rows]
        each = self.cross_entropies([piece for of_row in cut for piece in of_row])
        firsts = np.cumsum([0, *(len(of_row) for of_row in cut[:-1])])
        return np.add.reduceat(each, firsts, axis=0) if len(rows) else each

    def rate(self, name: str) -> float:
        return super().rate(name) * (self.embedding_rate if is_table(name) else 1.0)
