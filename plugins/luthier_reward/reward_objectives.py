"""What an objective of a reward model is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from luthier.api import Batch, Example, Measure, Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Objective(Protocol):
    """What is read from examples, where in their tokens the network judges, and what its judgements cost.

    A unit is what the mean of the loss is over: a pair, a text, a step.
    """

    outputs: int
    """How many numbers the network gives at each place."""
    measures: Mapping[str, Measure]
    """How the statistics become values, by name."""

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        """DataError for an example without what this objective learns from."""

    def places(self, batch: Batch) -> Tensor:
        """Where the network is asked, int64, in the flattened batch."""

    def losses(self, said: Tensor, batch: Batch) -> Tensor:
        """The loss of each unit [units] from what the network says at the places, [places, outputs]."""

    def statistics(self, said: Tensor, batch: Batch) -> dict[str, Tensor]:
        """For each measure what to add up for each unit, [units, s], without gradients."""

    def units(self, batch: Batch) -> list[int]:
        """How many units each row of the batch has."""
