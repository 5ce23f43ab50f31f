"""The protocol of a task and its result."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from luthier.contracts.predictor import Predictor
from luthier.evaluation.measurement import Measurement
from luthier.evaluation.metrics.metric import Attempt, Metric
from luthier.evaluation.questions import Question


@dataclass(frozen=True, slots=True)
class Attempts:
    """The answers of a model in the order of the questions, and counts for the report, such as of empty answers."""

    attempts: list[Attempt] = field(default_factory=list)
    """One attempt for each question."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Further counts for the report, by name."""


class Task(Protocol):
    """How a model produces its answers, and the metrics of the answers by the name of their score.

    `writes` is True where the answers are generated text, which the report shows as samples.

    - *Given*: `metrics` by the name of their score, as a keyword-only setting; `__call__` a `Predictor` in
      evaluation mode, the questions to answer and all `known` ones, such as for the labels that there are.
    - *Returns*: `Attempts`: one for each question, in order, and counts for the report.
    - *Called*: in the stages `baseline` and `evaluate`, and at each validation where the recipe's score is
      monitored.
    - *Ranks*: the first alone.
    - *Raises*: DataError where the data has not what it needs; RecipeError where the model cannot be asked so.
    - *Resume*: a baseline that was measured is read, not measured again.
    - *Nested*: `/evaluation/metric@metrics.NAME: exact_match` in the defaults fills the setting `metrics`.
    """

    metrics: Mapping[str, Metric]
    """Metrics by the name of their score."""
    writes: bool

    @abstractmethod
    def __call__(self, predictor: Predictor, questions: Sequence[Question], known: Sequence[Question]) -> Attempts:
        """An answer to each question; `known` are all questions of the set that `questions` were sampled from."""


@dataclass(frozen=True, slots=True)
class TaskMeasurements:
    """The scores of a task that brings examples of its own, by name, and counts for the report."""

    measurements: Mapping[str, Measurement]
    """One for each of the task's metrics, with the statistics of its own examples."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Further counts for the report, by name."""


@runtime_checkable
class MeasuringTask(Protocol):
    """A `Task` that brings examples of its own, such as those of a benchmark, and is asked for their scores instead."""

    def measurements(self, predictor: Predictor) -> TaskMeasurements:
        """A measurement for each of `metrics`."""
