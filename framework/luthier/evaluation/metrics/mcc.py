"""Matthews correlation coefficient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.evaluation.bootstrap import Floats
from luthier.evaluation.metrics.metric import Attempt


class Mcc:
    """The correlation of answers and references as classes (Matthews, 1975; of several classes Gorodkin, 2004).

    0 is chance and 1 is all right, however rare a class is; 0 also where answers or references are all alike.
    """

    better = "higher"

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        """[attempts, 1 + 2 · classes]: right, then the class of the answer and that of the reference."""
        outputs, references = [a.output.strip() for a in attempts], [a.reference.strip() for a in attempts]
        classes = {name: index for index, name in enumerate(sorted({*outputs, *references}))}
        said = np.eye(len(classes))[[classes[name] for name in outputs]]
        true = np.eye(len(classes))[[classes[name] for name in references]]
        return np.concatenate([(said * true).sum(1, keepdims=True), said, true], axis=1)

    def reduce(self, totals: Floats) -> Floats:
        right, (said, true) = totals[..., 0], np.split(totals[..., 1:], 2, axis=-1)
        count = true.sum(-1)
        above = right * count - (said * true).sum(-1)
        spread = (count**2 - (said**2).sum(-1)) * (count**2 - (true**2).sum(-1))
        below = np.sqrt(np.maximum(spread, 0))
        return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=below > 0))
