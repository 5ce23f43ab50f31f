"""A method is two functions: what it needs from an example, and what it does with a batch. The rest is here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.data.collate import collate
from luthier.parts import Adaptation, Batch, Example, Loss, Model, Optimizer, Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Method(pl.LightningModule, ABC):
    """Train an adapted network on batches of rows.

    `loss` gives a sum and its weight. Gradients of sums are accumulated over micro-batches and ranks and divided once,
    by the weight of the whole optimizer step: how a batch is cut does not change the update.
    """

    network: nn.Module
    adapted: bool

    def __init__(self, model: Model, adaptation: Adaptation, optimizer: Optimizer) -> None:
        super().__init__()
        self.model, self.adaptation, self.optimizer = model, adaptation, optimizer
        self.steps = 0
        self._step_sum: Tensor | None = None
        self._step_weight: Tensor | None = None
        self._held_out: list[Tensor] = []
        self.step_loss = torch.zeros(())
        self.gradient_norm = torch.zeros(())

    @abstractmethod
    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        """What the loss needs of an example: token ids, and the weight of predicting each."""

    @abstractmethod
    def loss(self, batch: Batch) -> Loss:
        """The sum of the loss over a batch, and the weight to divide it by."""

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """The loss of each row as (sum, weight), [rows, 2], without gradients; one forward pass each."""
        found = np.zeros((len(rows), 2))
        with torch.no_grad():
            for number, row in enumerate(rows):
                loss = self.loss(collate([[row]]).to(next(self.network.parameters()).device))
                found[number] = float(loss.sum), float(loss.weight)
        return found

    def load(self) -> None:
        """Load the network as it comes, nothing adapted yet."""
        self.network, self.adapted = self.model.network(), False

    def configure_model(self) -> None:
        """Load and adapt inside the strategy's context, so that sharding composes with every adaptation."""
        if not hasattr(self, "network"):
            self.load()
        if not self.adapted:
            self.network, self.adapted = self.adaptation(self.network), True
            self.network.train()

    def configure_optimizers(self) -> Any:
        trainable = [(name, weight) for name, weight in self.network.named_parameters() if weight.requires_grad]
        return self.optimizer(trainable, self.steps, self.rate)

    def rate(self, name: str) -> float:
        """The factor of the learning rate at which a weight moves; the adaptation's word, unless the method has one."""
        return self.adaptation.rate(name)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        loss = self.loss(batch)
        held = loss.sum.detach(), loss.weight.detach()
        self._step_sum = held[0] if self._step_sum is None else self._step_sum + held[0]
        self._step_weight = held[1] if self._step_weight is None else self._step_weight + held[1]
        penalty = self.adaptation.penalty(self.network)
        return loss.sum if penalty is None else loss.sum + penalty * loss.weight  # both are divided by the weight

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Turn the gradient of the sum into that of the mean; Lightning has divided by micro-batches and ranks."""
        assert self._step_sum is not None
        assert self._step_weight is not None
        total = torch.stack([self._step_sum.float(), self._step_weight.float()])
        if self.trainer.world_size > 1:
            total = self.trainer.strategy.reduce(total, reduce_op="sum")
        weight = total[1].clamp_min(torch.finfo(torch.float32).tiny)
        scale = self.trainer.accumulate_grad_batches * self.trainer.world_size / weight
        gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
        torch._foreach_mul_(gradients, scale)
        self.step_loss, self.gradient_norm = total[0] / weight, torch.nn.utils.get_total_norm(gradients)
        self._step_sum = self._step_weight = None

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm that is known already; Lightning's own refuses fused optimizers under autocast."""
        if gradient_clip_val:
            torch.nn.utils.clip_grads_with_norm_(self.network.parameters(), gradient_clip_val, self.gradient_norm)

    def validation_step(self, batch: Batch, index: int) -> None:
        loss = self.loss(batch)
        self._held_out.append(torch.stack([loss.sum.detach().float(), loss.weight.detach().float()]))

    def on_validation_epoch_end(self) -> None:
        if not self._held_out:
            return
        total = torch.stack(self._held_out).sum(0)
        self._held_out.clear()
        if self.trainer.world_size > 1:
            total = self.trainer.strategy.reduce(total, reduce_op="sum")
        self.log("validation_loss", total[0] / total[1], rank_zero_only=True)
