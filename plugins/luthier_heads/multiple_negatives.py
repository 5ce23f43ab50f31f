"""Contrastive learning with the documents of other pairs as negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from luthier.api import RecipeError
from luthier_heads.embedded_pairs import EmbeddedPairs
from luthier_heads.pair_objectives import PairObjective


class MultipleNegatives(PairObjective):
    """-log softmax of a query's similarity with its document against all documents of the step (InfoNCE).

    Van den Oord et al. (2018), equation 4; multiple negatives ranking of Henderson et al. (2017). Similarities are
    divided by `temperature`. Negatives are all other documents of the optimizer step and the given negatives of all
    its pairs, but those with the text of the query's own document, and the documents of equal queries: they are no
    negatives. `symmetric` takes the mean with the same loss of documents against all queries.
    """

    compares_pairs = True

    def __init__(self, *, temperature: float = 0.05, symmetric: bool = False) -> None:
        if not temperature > 0:
            raise RecipeError(
                f"A temperature of {temperature} divides by nothing.", where="method.objective.temperature",
                hint="Use above 0, such as 0.05.",
            )  # fmt: skip
        self.temperature, self.symmetric = temperature, symmetric

    def losses(self, own: EmbeddedPairs, others: EmbeddedPairs) -> Tensor:
        positive = (own.queries * own.documents).sum(-1) / self.temperature
        same_query = own.query_ids[:, None] == others.query_ids[None]
        same_document = own.document_ids[:, None] == others.document_ids[None]
        fits = torch.cat([same_query | same_document, own.document_ids[:, None] == others.negative_ids[None]], 1)
        documents = torch.cat([others.documents, others.negatives])
        loss = self._against(positive, own.queries, documents, fits)
        if not self.symmetric:
            return loss
        return (loss + self._against(positive, own.documents, others.queries, same_query | same_document)) / 2

    def _against(self, positive: Tensor, texts: Tensor, candidates: Tensor, fits: Tensor) -> Tensor:
        """log Σ exp over the positive and the candidates that do not fit, less the positive, [texts]."""
        logits = (texts @ candidates.T / self.temperature).masked_fill(fits, -torch.inf)
        return torch.cat([positive[:, None], logits], 1).logsumexp(1) - positive
