"""How well each class is found, every class counting the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.bootstrap import Floats
from luthier.evaluation.metrics.metric import Attempt


class MacroF1:
    """The mean over classes of F1 = 2·TP / (2·TP + FP + FN).

    The classes are the references and outputs that occur; one that occurs in neither has no F1 and does not count,
    also within a resample.
    """

    better = "higher"

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        """[attempts, 2 · classes]: twice the true positives of each class, then 2·TP + FP + FN of each."""
        given = [a.output.strip() for a in attempts]
        right = [a.reference.strip() for a in attempts]
        classes = {name: index for index, name in enumerate(sorted({*given, *right}))}
        said = np.eye(len(classes))[[classes[name] for name in given]]
        true = np.eye(len(classes))[[classes[name] for name in right]]
        return np.concatenate([2 * said * true, said + true], axis=1)

    def reduce(self, totals: Floats) -> Floats:
        hits, occurrences = np.split(totals, 2, axis=-1)
        f1 = np.divide(hits, occurrences, out=np.zeros_like(hits), where=occurrences > 0)
        present = (occurrences > 0).sum(-1)
        mean: Floats = f1.sum(-1) / np.maximum(present, 1)
        return mean
