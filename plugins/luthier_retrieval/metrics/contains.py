"""Whether the answer says what it should, whatever else it says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.bootstrap import Floats, means, ratio
from luthier.evaluation.citations import without_citations
from luthier.evaluation.metrics.exact_match import normalised
from luthier.evaluation.metrics.metric import Attempt


class Contains:
    """The share of answers that hold their reference, word for word, after SQuAD's normalisation; citations aside."""

    better = "higher"

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        return means(np.array([_holds(one.output, one.reference) for one in attempts], dtype=np.float64))

    def reduce(self, totals: Floats) -> Floats:
        return ratio(totals)


def _holds(output: str, reference: str) -> bool:
    wanted = normalised(without_citations(reference))
    return f" {wanted} " in f" {normalised(without_citations(output))} "
