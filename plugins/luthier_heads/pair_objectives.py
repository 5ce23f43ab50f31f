"""The contract of objectives of embedders, which `method=embed` asks for as `method/objective`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor

from luthier.api import Example, Measure
from luthier_heads.embedded_pairs import EmbeddedPairs
from luthier_heads.pairs import TextPair
from luthier_heads.ranking import RETRIEVAL


class PairObjective(ABC):
    """How far embeddings of pairs are from what the data says.

    `compares_pairs` says whether the loss of a pair depends on others of its optimizer step; all of them, on every
    rank and in every micro-batch, are then compared, and gradients are cached. `graded` objectives read scores.
    """

    compares_pairs = False
    graded = False
    measures: Mapping[str, Measure] = RETRIEVAL

    @abstractmethod
    def losses(self, own: EmbeddedPairs, others: EmbeddedPairs) -> Tensor:
        """The loss of each pair, float32 [pairs], given the `others` of its step, among which it is itself."""

    def loss(self, pairs: EmbeddedPairs) -> Tensor:
        """The loss of the pairs of an optimizer step: the sum over pairs, a scalar."""
        return self.losses(pairs, pairs).sum()

    def check(self, example: Example, pair: TextPair) -> None:
        """DataError for an example without what the objective needs: by default, nothing but a pair."""
        del example, pair
