"""The protocol of a metric."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
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


class Metric(Protocol):
    """Sufficient statistics for each attempt, and their reduction.

    A mean over examples is `luthier.api.row_means` reduced by `luthier.api.ratio`; corpus metrics keep their counts.
    """

    better: str
    """`higher` or `lower`."""

    @abstractmethod
    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        """[attempts, s], float64."""

    @abstractmethod
    def reduce(self, totals: Floats) -> Floats:
        """Sums of the statistics over examples, [..., s], to values [...]."""
