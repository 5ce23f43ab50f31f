"""No task: only held-out loss and forgetting are measured."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.contracts.predictor import Predictor
from luthier.evaluation.metrics.metric import Metric
from luthier.evaluation.questions import Question
from luthier.evaluation.tasks.task import Attempts


class NoTask:
    """Generate nothing and measure no task metric."""

    writes = False

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}

    def __call__(self, predictor: Predictor, questions: Sequence[Question], known: Sequence[Question]) -> Attempts:
        return Attempts()
