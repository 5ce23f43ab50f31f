"""The objectives of rerankers, which `method=rerank` asks for as `method/objective`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from luthier.api import DataError, Example, Measure, RecipeError
from luthier_heads.pairs import TextPair, score_of
from luthier_heads.ranking import GRADED, RETRIEVAL


class RerankObjective(ABC):
    """How far the scores of a query's documents are from what the data says.

    `activation` is what the output becomes when a trained model is asked. Where `graded`, a row has one document with a
    score; else its first document fits the query and the others do not.
    """

    graded = False
    activation: Literal["identity", "sigmoid"] = "identity"
    measures: Mapping[str, Measure] = {name: RETRIEVAL[name] for name in ("ndcg", "mrr")}

    @abstractmethod
    def losses(self, positive: Tensor, negative: Tensor, owners: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each row, to be summed, and its weight, to divide by: both float32 [rows].

        `positive` [rows] are the outputs for the first documents, `negative` [M] those for the others, whose rows are
        `owners` int64 [M]; `scores` [rows] are those of graded pairs, else zeros.
        """

    def check(self, example: Example, pair: TextPair) -> None:
        """DataError for an example without what the objective needs: by default, a document that does not fit."""
        if not pair.negatives:
            raise DataError(
                "The example has no document that does not fit, and a reranker learns from the difference.",
                where=str(example.get("where", "")),
                hint="Give a column `negatives`, or a score: method/objective=graded data/format=graded_pairs",
            )


class Pointwise(RerankObjective):
    """-log σ(output) of a document that fits and -log(1 - σ(output)) of one that does not (Nogueira & Cho, 2019)."""

    activation = "sigmoid"

    def losses(self, positive: Tensor, negative: Tensor, owners: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        return _by_row(softplus(-positive), softplus(negative), owners)


class Graded(RerankObjective):
    """The cross-entropy of σ(output) and a score from 0 to 1."""

    activation = "sigmoid"
    graded = True
    measures = GRADED

    def losses(self, positive: Tensor, negative: Tensor, owners: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        losses = binary_cross_entropy_with_logits(positive, scores, reduction="none")
        return losses, losses.new_ones(len(losses))

    def check(self, example: Example, pair: TextPair) -> None:
        if score_of(example) < 0:
            raise DataError(
                f"The score is {example['score']}, and a reranker's is from 0 to 1.",
                where=str(example.get("where", "")),
                hint="Say the ends of the scale: data/format=graded_pairs data.format.lowest=-1",
            )


class PairwiseLogistic(RerankObjective):
    """-log σ(output of the document that fits - output of one that does not) (RankNet, Burges et al., 2005, eq. 3)."""

    def losses(self, positive: Tensor, negative: Tensor, owners: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        return _by_row(None, softplus(negative - positive[owners]), owners, rows=len(positive))


class PairwiseMargin(RerankObjective):
    """max(0, margin - output of the document that fits + output of one that does not) (Joachims, 2002)."""

    def __init__(self, *, margin: float = 1.0) -> None:
        if not margin > 0:
            raise RecipeError(f"A margin of {margin} asks for nothing.", where="method.objective.margin")
        self.margin = margin

    def losses(self, positive: Tensor, negative: Tensor, owners: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        each = (self.margin - positive[owners] + negative).clamp_min(0)
        return _by_row(None, each, owners, rows=len(positive))


def _by_row(first: Tensor | None, others: Tensor, owners: Tensor, rows: int = 0) -> tuple[Tensor, Tensor]:
    """The sums over each row of its first document's loss and those of its others, and how many they are."""
    start = others.new_zeros(rows) if first is None else first
    weights = start.new_zeros(len(start)) if first is None else start.new_ones(len(start))
    counts = owners.bincount(minlength=len(start)).to(start.dtype)
    return start.index_add(0, owners, others), weights + counts
