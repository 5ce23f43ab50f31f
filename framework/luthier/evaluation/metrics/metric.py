"""What a metric is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from luthier.contracts.examples import Example
from luthier.evaluation.bootstrap import Floats


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was asked (the last user message), what the model said, and what it should have said.

    `example` is all that the prompt made of the example, with the further columns of both.
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

    Averages need nothing more than `row_means` and `ratio`; corpus measures keep their counts.
    """

    better: str
    """`higher` or `lower`."""

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        """[attempts, s], float64."""

    def reduce(self, totals: Floats) -> Floats:
        """Sums of the statistics over examples, [..., s], to values [...]."""
