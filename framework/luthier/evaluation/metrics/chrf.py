"""chrF: the F-score of character n-grams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sacrebleu.metrics.chrf import CHRF

from luthier.evaluation.bootstrap import Floats
from luthier.evaluation.metrics.metric import Attempt


class Chrf:
    """Corpus-level chrF (Popović, 2015) as sacrebleu counts it, from 0 to 100; `word_order=2` makes it chrF++.

    The F-beta of n-gram precision and recall, each averaged over the orders that occur in both texts.
    """

    better = "higher"

    def __init__(self, *, char_order: int = 6, word_order: int = 0, beta: int = 2) -> None:
        self.beta = beta
        self.counter = CHRF(char_order=char_order, word_order=word_order, beta=beta)

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        """[attempts, 3 · orders]: n-grams of the output, of the reference and of both, order by order."""
        counts = self.counter._extract_corpus_statistics(
            [a.output for a in attempts], [[a.reference for a in attempts]]
        )
        return np.array(counts, dtype=np.float64)

    def reduce(self, totals: Floats) -> Floats:
        of_output, of_reference, common = (totals[..., first::3] for first in range(3))
        present = (of_output > 0) & (of_reference > 0)
        orders = np.maximum(present.sum(-1), 1)
        precision = np.divide(common, of_output, out=np.zeros_like(common), where=present).sum(-1) / orders
        recall = np.divide(common, of_reference, out=np.zeros_like(common), where=present).sum(-1) / orders
        above, below = (1 + self.beta**2) * precision * recall, self.beta**2 * precision + recall
        score: Floats = 100 * np.divide(above, below, out=np.zeros_like(above), where=below > 0)
        return score
