"""Train a network that judges."""

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
    RecipeError,
    Row,
    SequenceClassification,
    packed_batches,
    reward_outputs,
    unwrapped,
    with_supported_prefixes,
)
from luthier_reward.reward_objectives import Objective

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class RewardModel(Method):
    """Put a small head in place of the vocabulary's and learn to judge, by an objective of pairs, ratings or steps.

    The loss is the mean of the objective over its units. The head begins at random, beside weights that know something
    already, and moves `head_rate` times as fast (Howard & Ruder, 2018, section 3.2, let the last layers move faster).
    The result answers `rewards(conversations)`; transformers reads it as AutoModelForSequenceClassification.
    """

    likelihood = False
    is_generative = False

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        objective: Objective,
        head_rate: float = 10.0,
    ) -> None:
        super().__init__(SequenceClassification(model, objective.outputs), adaptation, optimizer)
        self.objective, self.head_rate = objective, head_rate
        self.measures = objective.measures

    def configure_model(self) -> None:
        """Load and adapt; the new head has to move, whatever else does."""
        super().configure_model()
        if not any(weight.requires_grad for weight in unwrapped(self.network).score.parameters()):  # type: ignore[union-attr]
            raise RecipeError(
                f"{type(self.adaptation).__name__} leaves the new head as it is, so nothing could be learnt.",
                where="adaptation",
                hint="Choose full, or an adaptation of PEFT such as lora.",
            )

    def rate(self, name: str) -> float:
        """The adaptation's word; the new head moves faster."""
        return super().rate(name) * (self.head_rate if "score" in name.split(".") else 1.0)

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        return self.objective.encode(example, tokenizer)

    def loss(self, batch: Batch) -> Loss:
        batch = with_supported_prefixes(batch, self.network, self.warnings)
        said = self._said(batch)
        losses = self.objective.losses(said, batch)
        told = {
            name: (found[:, 0].sum(), found[:, 1].sum())
            for name, found in self.objective.statistics(said.detach(), batch).items()
            if found.shape[1] == 2
        }
        return Loss(losses.sum(), torch.full_like(losses.sum(), len(losses)), told)

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        return self.measured(rows)["loss"]

    @torch.no_grad()
    def measured(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """The objective's own measures of each row, all its units together."""
        found: dict[str, NDArray[np.float64]] = {}
        for group, batch in packed_batches(rows, next(self.network.parameters()).device):
            batch = with_supported_prefixes(batch, self.network, self.warnings)
            said = self._said(batch)
            losses = self.objective.losses(said, batch)
            loss = torch.stack([losses, torch.ones_like(losses)], 1)
            owner = np.repeat(group, self.objective.units(batch))
            for name, values in {"loss": loss, **self.objective.statistics(said, batch)}.items():
                total = found.setdefault(name, np.zeros((len(rows), values.shape[1])))
                np.add.at(total, owner, values.double().cpu().numpy())
        return found

    def _said(self, batch: Batch) -> Tensor:
        return reward_outputs(self.network, batch, self.objective.places(batch))
