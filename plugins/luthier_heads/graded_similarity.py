"""Objectives of pairs with a score of how alike they are."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from luthier.api import Example, RecipeError
from luthier_heads.embedded_pairs import EmbeddedPairs
from luthier_heads.pair_objectives import PairObjective
from luthier_heads.pairs import TextPair, score_of
from luthier_heads.ranking import GRADED


class CosineSimilarity(PairObjective):
    """The squared difference of the cosine of a pair and its score (Reimers & Gurevych, 2019, section 3)."""

    graded = True
    measures = GRADED

    def losses(self, own: EmbeddedPairs, others: EmbeddedPairs) -> Tensor:
        return (cosine_similarity(own.queries, own.documents) - own.scores).square()

    def check(self, example: Example, pair: TextPair) -> None:
        score_of(example)


class Cosent(PairObjective):
    """log(1 + Σ exp((cos of the less alike - cos of the more alike) / temperature)) over all pairs of pairs of a step.

    CoSENT (Huang et al., 2024): the order of scores is learned, not their values. The held-out loss is that sum of each
    pair with all others of its split, whose mean is another number than the loss of a step.
    """

    compares_pairs = True
    graded = True
    measures = GRADED

    def __init__(self, *, temperature: float = 0.05) -> None:
        if not temperature > 0:
            raise RecipeError(
                f"A temperature of {temperature} divides by nothing.", where="method.objective.temperature",
                hint="Use above 0, such as 0.05.",
            )  # fmt: skip
        self.temperature = temperature

    def loss(self, pairs: EmbeddedPairs) -> Tensor:
        similar = cosine_similarity(pairs.queries, pairs.documents) / self.temperature
        apart = similar[:, None] - similar[None]  # [less alike, more alike]
        logits = apart.masked_fill(pairs.scores[:, None] >= pairs.scores[None], -torch.inf).flatten()
        return torch.cat([logits, logits.new_zeros(1)]).logsumexp(0) * len(pairs)

    def losses(self, own: EmbeddedPairs, others: EmbeddedPairs) -> Tensor:
        mine, theirs = (cosine_similarity(one.queries, one.documents) / self.temperature for one in (own, others))
        order = torch.sign(others.scores[None] - own.scores[:, None])
        logits = (order * (mine[:, None] - theirs[None])).masked_fill(order == 0, -torch.inf)
        return torch.cat([logits, logits.new_zeros(len(own), 1)], 1).logsumexp(1)

    def check(self, example: Example, pair: TextPair) -> None:
        score_of(example)
