"""The protocol of a metric."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from luthier.contracts.examples import Example
from luthier.evaluation.bootstrap import Floats


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last user message, the answer of the model and the reference answer.

    `example` is the example as the prompt rendered it, with the further columns of both.
    """

    question: str
    """The last message of the user."""
    output: str
    """What the model answered."""
    reference: str
    """The answer that the data gives."""
    example: Example = field(default_factory=dict)
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Of each label, where the task scores labels."""


class Metric(Protocol):
    """Sufficient statistics for each attempt, and their reduction.

    A mean over examples is `luthier.api.row_means` reduced by `luthier.api.ratio`; corpus metrics keep their counts.

    One whose every example has a value from 0 to 1, of weight 1 or 0, may say `bounded = True`: comparisons race by it.
    One with `counted(totals)`, which makes numbers by name of the sums of its statistics, has these in the report, such
    as how many answers it could not judge.

    - *Given*: `statistics` the attempts of a task; `reduce` sums of these over examples, float64 [..., s], as many
      at once as there are resamples.
    - *Returns*: `statistics` float64 [attempts, s], each row from its attempt alone; `reduce` values [...]. NaN
      where there is no value.
    - *Called*: `statistics` once for each measured set, `reduce` for the score and for each of its bootstrap
      resamples.
    - *Ranks*: the first alone.
    - *Raises*: DataError where examples lack a column that it reads; RecipeError of the constructor.
    - *Resume*: the statistics of a baseline are read from the run's folder: `reduce` must be that of the same
      settings.
    - *Nested*: a keyword-only parameter filled by an answer of `evaluation/metric/NAME/`.
    """

    better: str
    """`higher` or `lower`."""

    @abstractmethod
    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        """[attempts, s], float64."""

    @abstractmethod
    def reduce(self, totals: Floats) -> Floats:
        """Sums of the statistics over examples, [..., s], to values [...]."""
