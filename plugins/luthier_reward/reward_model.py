"""Train a reward model: a network with a scalar head in place of the LM head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.api import (
    Adaptation,
    Batch,
    Example,
    Loss,
    Method,
    Model,
    Optimizer,
    RewardObjective,
    Row,
    SequenceClassification,
    is_of_head,
    packed_batches,
    refuse_untrained_head,
    reward_outputs,
)
from luthier_reward.reward_objectives import with_ones

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class RewardModel(Method):
    """Replace the LM head by a linear head and train it to predict rewards from pairs, ratings or steps.

    The loss is the mean of the objective over its units. The head is initialised at random beside pretrained weights,
    so its learning rate is `head_rate` times that of the others (discriminative fine-tuning, Howard & Ruder, 2018,
    section 3.2). The artifact has `rewards(conversations)`, and loads in transformers as
    AutoModelForSequenceClassification.
    """

    likelihood = False
    is_generative = False

    resumable = ("head_rate",)

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        objective: RewardObjective,
        head_rate: float = 10.0,
    ) -> None:
        super().__init__(SequenceClassification(model, objective.outputs), adaptation, optimizer)
        self.objective, self.head_rate = objective, head_rate
        self.measures = objective.measures

    def configure_model(self) -> None:
        """Load and adapt the network; RecipeError where the new head is not trainable."""
        super().configure_model()
        refuse_untrained_head(self.network, self.adaptation)

    def rate(self, name: str) -> float:
        """The factor that the adaptation has for this weight, times `head_rate` for the new head."""
        return super().rate(name) * (self.head_rate if is_of_head(name, self.network) else 1.0)

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        return self.objective.encode(example, tokenizer)

    def loss(self, batch: Batch) -> Loss:
        outputs = self._outputs(batch)
        losses = self.objective.losses(outputs, batch)
        metrics = {
            name: (values[:, 0].sum(), values[:, 1].sum())
            for name, values in self.objective.statistics(outputs.detach(), batch).items()
            if values.shape[1] == 2
        }
        return Loss(losses.sum(), torch.full_like(losses.sum(), len(losses)), metrics)

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        return self.measured(rows)["loss"]

    @torch.no_grad()
    def measured(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """The statistics of the objective's measures for each row, summed over its units."""
        statistics: dict[str, NDArray[np.float64]] = {}
        for group, batch in packed_batches(rows, next(self.network.parameters()).device):
            outputs = self._outputs(batch)
            loss = with_ones(self.objective.losses(outputs, batch))
            owner = np.repeat(group, self.objective.units(batch))
            for name, values in {"loss": loss, **self.objective.statistics(outputs, batch)}.items():
                total = statistics.setdefault(name, np.zeros((len(rows), values.shape[1])))
                np.add.at(total, owner, values.double().cpu().numpy())
        return statistics

    def _outputs(self, batch: Batch) -> Tensor:
        return reward_outputs(self.network, batch, self.objective.positions(batch))
