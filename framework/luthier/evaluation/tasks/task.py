"""What a task is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from luthier.contracts.predictor import Predictor
from luthier.evaluation.metrics.metric import Attempt, Metric
from luthier.evaluation.questions import Question


@dataclass(frozen=True, slots=True)
class Attempts:
    """What a model answered, in the order of the turns, and what is worth counting about it."""

    made: list[Attempt] = field(default_factory=list)
    """One attempt for each turn."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Further counts for the report, by name."""


class Task(Protocol):
    """How a model comes to its answers, and the metrics that judge them, by the name of their score.

    `writes` says that the answers are text that the model wrote freely, so that they can be shown as samples.
    """

    metrics: Mapping[str, Metric]
    """Metrics by the name of their score."""
    writes: bool

    def __call__(self, subject: Predictor, turns: Sequence[Question], known: Sequence[Question]) -> Attempts:
        """An answer to each of the turns; `known` are all the turns of the set, of which `turns` are the chosen."""
