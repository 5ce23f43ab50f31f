"""F1 of extracted spans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from nervaluate.strategies import (
    EntityTypeEvaluation,
    EvaluationStrategy,
    ExactEvaluation,
    PartialEvaluation,
    StrictEvaluation,
)

from luthier.evaluation.bootstrap import Floats, ratio
from luthier.evaluation.metrics.metric import Attempt
from luthier.evaluation.metrics.spans import located, spans

_STRATEGIES: dict[str, type[EvaluationStrategy]] = {
    "strict": StrictEvaluation,
    "exact": ExactEvaluation,
    "partial": PartialEvaluation,
    "type": EntityTypeEvaluation,
}


class SpanF1:
    """The micro-averaged F1 of the spans that answers name, matched by nervaluate's SemEval-2013 schemes.

    `strict`: same place and type; `exact`: same place; `partial`: half a point for an overlap; `type`: an overlap of
    the same type. Spans are looked for in the question, letter case aside; one that stands nowhere in it is wrong
    unless the reference names it too.
    """

    better = "higher"

    def __init__(self, *, match: Literal["strict", "exact", "partial", "type"] = "strict") -> None:
        self.strategy = _STRATEGIES[match]()

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        """[attempts, 2]: twice the credit for matches, and the spans of the answer and of the reference together."""
        return np.array([self._counts(attempt) for attempt in attempts], dtype=np.float64).reshape(-1, 2)

    def _counts(self, attempt: Attempt) -> tuple[float, float]:
        elsewhere: dict[str, int] = {}
        true = located(spans(attempt.reference), attempt.question, elsewhere)
        predicted = located(spans(attempt.output), attempt.question, elsewhere)
        tags = sorted({entity.label for entity in [*true, *predicted]})
        result, _ = self.strategy.evaluate(true, predicted, tags)
        return 2 * (result.correct + result.partial / 2), len(true) + len(predicted)

    def reduce(self, totals: Floats) -> Floats:
        return ratio(totals)
