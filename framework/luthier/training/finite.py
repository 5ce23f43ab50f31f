"""Keeps a loss or gradient that is not finite from the weights, and ends the training."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch

from luthier.errors import NumericsError
from luthier.records.events import EventLog

NAMED = 10


class Finite(pl.Callback):
    """Ends the run with a NumericsError before the update of the step in which a loss or gradient is not finite.

    The weights stay those of the last good step; the event `not_finite` names the step's examples, the loss of each
    micro-batch and the parameters whose gradients are at fault. Costs one norm over the gradients and one wait for
    the device. With 16-bit gradient scaling only the loss is looked at: the scaler skips steps on purpose.

    With `drops`, for a training that `trainer.stop` ends where it diverges, there is no error: that step loses its
    gradients on all ranks, so that the optimizer moves nothing, and `dropped` says so.
    """

    def __init__(self, events: EventLog, *, drops: bool = False) -> None:
        self.events, self.drops = events, drops
        self.dropped = False
        self._losses: list[torch.Tensor] = []
        self._examples: list[list[int]] = []

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._examples.append(list(getattr(batch, "examples", ())))

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: torch.Tensor) -> None:
        self._losses.append(loss.detach().float())

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        losses = torch.stack(self._losses)
        norm = losses.new_zeros(())
        if getattr(trainer.precision_plugin, "scaler", None) is None:
            norm = torch.nn.utils.get_total_norm([gradient for _, gradient in _gradients(pl_module)]).to(losses.device)
        bad = not bool(torch.isfinite(losses.sum() + norm))
        self.dropped = self.drops and trainer.strategy.reduce_boolean_decision(bad, all=False)
        if bad:
            error = self._described(trainer, pl_module, losses, float(norm))
            if not self.dropped:
                raise error
        if self.dropped:
            for weight in pl_module.parameters():
                weight.grad = None
        self._losses.clear()
        self._examples.clear()

    def _described(
        self, trainer: pl.Trainer, module: pl.LightningModule, losses: torch.Tensor, norm: float
    ) -> NumericsError:
        """The event, and the error for those whom nothing else stops."""
        step = trainer.global_step + 1
        norms = {name: float(gradient.norm()) for name, gradient in _gradients(module)}
        at_fault = {name: value for name, value in norms.items() if not torch.isfinite(torch.tensor(value))}
        values = [float(loss) * trainer.accumulate_grad_batches for loss in losses]
        bad = [index for index, value in enumerate(values) if not torch.isfinite(torch.tensor(value))]
        suspects = [example for index in bad or range(len(values)) for example in self._examples[index]]
        self.events.tell(
            "not_finite",
            step=step,
            examples=self._examples,
            losses=values,
            gradient_norm=norm,
            parameters=dict(sorted(at_fault.items())[:NAMED]),
            parameters_at_fault=len(at_fault),
        )
        what = f"The loss is {values[bad[0]]}" if bad else "A gradient is not finite"
        named = ", ".join(map(str, suspects[:NAMED])) + (", …" if len(suspects) > NAMED else "")
        return NumericsError(
            f"{what} in step {step}{f', with examples {named}' if suspects else ''}; the weights are those of step "
            f"{step - 1}.",
            where=f"step {step}",
            hint="Look at these examples (events.jsonl has losses and norms), or go on from the last checkpoint with a "
            "lower optimizer.lr and resume=auto.",
            resumable=True,
        )


def _gradients(module: pl.LightningModule) -> list[tuple[str, torch.Tensor]]:
    return [(name, weight.grad) for name, weight in module.named_parameters() if weight.grad is not None]
