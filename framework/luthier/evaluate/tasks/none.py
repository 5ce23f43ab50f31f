"""No task: held-out loss and forgetting are all that is measured."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.evaluate.metrics.metric import Metric
from luthier.evaluate.subject import Subject
from luthier.evaluate.tasks.task import Attempts
from luthier.evaluate.turns import Turn


class NoTask:
    """Ask nothing. The absence of a task is a task."""

    writes = False

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}

    def __call__(self, subject: Subject, turns: Sequence[Turn], known: Sequence[Turn]) -> Attempts:
        return Attempts()
