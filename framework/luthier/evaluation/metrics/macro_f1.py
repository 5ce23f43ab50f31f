"""Macro-averaged F1 of a classification."""

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
        outputs = [a.output.strip() for a in attempts]
        references = [a.reference.strip() for a in attempts]
        classes = {name: index for index, name in enumerate(sorted({*outputs, *references}))}
        predicted = np.eye(len(classes))[[classes[name] for name in outputs]]
        true = np.eye(len(classes))[[classes[name] for name in references]]
        return np.concatenate([2 * predicted * true, predicted + true], axis=1)

    def reduce(self, totals: Floats) -> Floats:
        hits, occurrences = np.split(totals, 2, axis=-1)
        f1 = np.divide(hits, occurrences, out=np.zeros_like(hits), where=occurrences > 0)
        present = (occurrences > 0).sum(-1)
        mean: Floats = f1.sum(-1) / np.maximum(present, 1)
        return mean
