"""The contract of objectives of reward models, which `method=reward_model` asks for as `method/objective`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from luthier.contracts.batch import Batch, Row
from luthier.contracts.examples import Example
from luthier.contracts.training import Measure
from luthier.inference.reward_scores import last_token_positions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class RewardObjective(ABC):
    """An objective that predicts one reward per text, at its last token, with one unit per row.

    A unit is what the loss is averaged over: a pair, a text, a step. `outputs` is the number of scalars that the head
    predicts at each position, and `measures` say by name how the statistics of units become values.

    - *Given*: `encode` an example and the tokenizer; `losses` the outputs of the head, float32 [positions,
      outputs], and the batch.
    - *Returns*: `encode` a `Row`; `losses` the loss of each unit, float32 [units]; `statistics` those of
      `measures`, [units, s].
    - *Called*: `encode` once for each example, before training; `losses` for each micro-batch and held-out batch.
    - *Ranks*: `losses` on every rank; what is measured on the first alone.
    - *Raises*: DataError of `encode` for an example without what it needs; RecipeError of the constructor.
    - *Resume*: nothing: keep no state.
    - *Nested*: a keyword-only parameter filled by an answer of `method/objective/NAME/`.
    """

    outputs: int
    measures: Mapping[str, Measure]

    @abstractmethod
    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        """The texts of an example and their labels; DataError for an example without what this objective needs."""

    @abstractmethod
    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The loss of each unit, float32 [units], from the outputs of the head, [positions, self.outputs]."""

    @abstractmethod
    def statistics(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The statistics of each unit for each of `measures`, [units, s], without gradients."""

    def positions(self, batch: Batch) -> Tensor:
        """Where the reward is predicted, int64, in the flattened batch."""
        return last_token_positions(batch)

    def units(self, batch: Batch) -> list[int]:
        """The number of units of each row of the batch."""
        return [1] * len(batch.sequence_groups)
