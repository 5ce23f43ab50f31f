"""The contract of objectives of classifiers, which `method=classify` asks for as `method/objective`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor

from luthier.api import Example, Measure, Problem

Targets = Mapping[str, Tensor]
"""What `target` gave, by name, each float32 [texts]."""


class ClassObjective(ABC):
    """What the outputs of a head mean, and how far they are from what the data says.

    `problem` is as transformers names it, so that its pipelines read the outputs. `measures` say by name how the
    statistics of texts become values.
    """

    problem: Problem
    measures: Mapping[str, Measure] = {}

    @abstractmethod
    def labels_of(self, example: Example) -> Sequence[str]:
        """The labels of an example; DataError where it has none."""

    @abstractmethod
    def target(self, example: Example, labels: Sequence[str]) -> dict[str, float]:
        """The target of an example as numbers by name, the same names for each; `labels` are all, in order."""

    @abstractmethod
    def losses(self, outputs: Tensor, targets: Targets, labels: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The loss of each text, to be summed, and its weight, to divide by: both float32 [texts]."""

    def settle(self, labels: Sequence[str], counts: Mapping[str, int]) -> None:
        """Know all labels, in order, and how many training examples have each; RecipeError for settings of others."""
        del labels, counts

    def names(self, found: Mapping[str, int], order: Sequence[str] | None) -> list[str]:
        """The outputs' labels: `order`, else those found in the training split, sorted."""
        return list(order) if order is not None else sorted(found)

    def statistics(self, outputs: Tensor, targets: Targets) -> dict[str, Tensor]:
        """The statistics of each text for each of `measures`, [texts, s]."""
        return {}
