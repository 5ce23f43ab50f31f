"""Whether the answer says what it should, whatever else it says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.api import Attempt, Floats, normalised_text, ratio, row_means, without_citations


class Contains:
    """The share of answers that hold their reference, word for word, after SQuAD's normalisation; citations aside."""

    better = "higher"

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        return row_means(np.array([_holds(one.output, one.reference) for one in attempts], dtype=np.float64))

    def reduce(self, totals: Floats) -> Floats:
        return ratio(totals)


def _holds(output: str, reference: str) -> bool:
    wanted = normalised_text(without_citations(reference))
    return f" {wanted} " in f" {normalised_text(without_citations(output))} "
