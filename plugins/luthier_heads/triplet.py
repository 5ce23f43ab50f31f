"""The triplet loss of a query, a document that fits and one that does not."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, pairwise_distance

from luthier.api import DataError, Example, RecipeError
from luthier_heads.embedded_pairs import EmbeddedPairs
from luthier_heads.pair_objectives import PairObjective
from luthier_heads.pairs import TextPair

Distance = Literal["cosine", "euclidean"]


class Triplet(PairObjective):
    """max(0, d(query, document) - d(query, negative) + margin), the mean over a query's negatives.

    Schroff et al. (2015), equation 3. `distance` is one minus the cosine, or the Euclidean norm of the difference.
    """

    def __init__(self, *, margin: float = 0.3, distance: Distance = "cosine") -> None:
        if margin < 0:
            raise RecipeError(
                f"A margin of {margin} is below 0.", where="method.objective.margin", hint="Use 0 or more."
            )
        self.margin, self.distance = margin, distance

    def losses(self, own: EmbeddedPairs, others: EmbeddedPairs) -> Tensor:
        near = self._apart(own.queries, own.documents)[own.owners]
        far = self._apart(own.queries[own.owners], own.negatives)
        each = (near - far + self.margin).clamp_min(0)
        sums = torch.zeros(len(own), device=each.device, dtype=each.dtype).index_add(0, own.owners, each)
        return sums / own.owners.bincount(minlength=len(own)).clamp_min(1)

    def _apart(self, some: Tensor, others: Tensor) -> Tensor:
        if self.distance == "cosine":
            return 1 - cosine_similarity(some, others)
        return pairwise_distance(some, others, eps=1e-6)

    def check(self, example: Example, pair: TextPair) -> None:
        if not pair.negatives:
            raise DataError(
                "The example has no document that does not fit, which method/objective=triplet needs.",
                where=str(example.get("where", "")),
                hint="Give a column `negatives`, or use method/objective=multiple_negatives.",
            )
