"""No task: held-out loss and forgetting are all that is measured."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.contracts.predictor import Predictor
from luthier.evaluation.metrics.metric import Metric
from luthier.evaluation.questions import Question
from luthier.evaluation.tasks.task import Attempts


class NoTask:
    """Ask nothing. The absence of a task is a task."""

    writes = False

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}

    def __call__(self, subject: Predictor, turns: Sequence[Question], known: Sequence[Question]) -> Attempts:
        return Attempts()
