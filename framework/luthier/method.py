"""A method is two functions: what it needs from an example, and what it does with a batch. The rest is here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from luthier.parts import Adaptation, Batch, Example, Loss, Model, Optimizer, Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Method(pl.LightningModule, ABC):
    """Train an adapted network on batches of rows.

    `loss` gives a sum and its weight. Gradients of sums are accumulated over micro-batches and ranks and divided once,
    by the weight of the whole optimizer step: how a batch is cut does not change the update.
    """

    network: nn.Module

    def __init__(self, model: Model, adaptation: Adaptation, optimizer: Optimizer) -> None:
        super().__init__()
        self.model, self.adaptation, self.optimizer = model, adaptation, optimizer
        self.steps = 0
        self._step_sum: Tensor | None = None
        self._step_weight: Tensor | None = None

    @abstractmethod
    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        """What the loss needs of an example: token ids, and the weight of predicting each."""

    @abstractmethod
    def loss(self, batch: Batch) -> Loss:
        """The sum of the loss over a batch, and the weight to divide it by."""

    def configure_model(self) -> None:
        """Load and adapt inside the strategy's context, so that sharding composes with every adaptation."""
        if not hasattr(self, "network"):
            self.network = self.adaptation(self.model.network())
            self.network.train()

    def configure_optimizers(self) -> Any:
        trainable = [(name, weight) for name, weight in self.network.named_parameters() if weight.requires_grad]
        return self.optimizer(trainable, self.steps)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        loss = self.loss(batch)
        held = loss.sum.detach(), loss.weight.detach()
        self._step_sum = held[0] if self._step_sum is None else self._step_sum + held[0]
        self._step_weight = held[1] if self._step_weight is None else self._step_weight + held[1]
        return loss.sum

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Turn the gradient of the sum into that of the weighted mean; Lightning has divided by micro-batches and ranks."""
        assert self._step_sum is not None
        assert self._step_weight is not None
        total = torch.stack([self._step_sum.float(), self._step_weight.float()])
        if self.trainer.world_size > 1:
            total = self.trainer.strategy.reduce(total, reduce_op="sum")
        weight = total[1].clamp_min(torch.finfo(torch.float32).tiny)
        scale = self.trainer.accumulate_grad_batches * self.trainer.world_size / weight
        gradients = [weight.grad for weight in self.network.parameters() if weight.grad is not None]
        torch._foreach_mul_(gradients, scale)
        self.step_loss = total[0] / weight
        self._step_sum = self._step_weight = None
