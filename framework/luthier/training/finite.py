"""Keeps a loss or gradient that is not finite from the weights, and ends the training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from luthier.errors import NumericsError
from luthier.records.events import EventLog
from luthier.training import shards
from luthier.training.not_finite import NAMED, Unfit, at_fault, way_out
from luthier.training.part_states import PartStates
from luthier.training.random_state import RandomState


class Finite(pl.Callback):
    """Ends the run with a NumericsError before the update of the step in which a loss or gradient is not finite.

    The weights stay those of the last good step; the event `not_finite` names the step's examples, the loss of each
    micro-batch and the parameters whose gradients are at fault. Costs one norm over the gradients and one wait for
    the device. With 16-bit gradient scaling only the loss is looked at: the scaler skips steps on purpose.

    With `drops`, for a training that `trainer.stop` ends where it diverges, there is no error: that step loses its
    gradients on all ranks, so that the optimizer moves nothing, and `dropped` says so.

    An update can leave weights that are not finite, or with which no loss is, after a step in which all was well; the
    next step would show it, and a checkpoint must not be one of them: `check` looks before it is written.
    """

    def __init__(
        self,
        events: EventLog,
        checkpoints: Path,
        random_state: RandomState,
        part_states: PartStates,
        *,
        drops: bool = False,
    ) -> None:
        self.events, self.checkpoints, self.drops = events, checkpoints, drops
        self.random_state, self.part_states = random_state, part_states
        self.dropped = False
        self._losses: list[torch.Tensor] = []
        self._examples: list[list[int]] = []
        self._first: Any = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if not self._examples:
            self._first = batch
        self._examples.append(list(getattr(batch, "examples", ())))

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: torch.Tensor) -> None:
        self._losses.append(loss.detach().float())

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        losses = torch.stack(self._losses)
        norm = losses.new_zeros(())
        if getattr(trainer.precision_plugin, "scaler", None) is None:
            norm = shards.total_norm([gradient for _, gradient in _gradients(pl_module)]).to(losses.device)
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

    def check(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Unfit where the weights of the last completed step are not finite, or give the step's first micro-batch a
        loss that is not.

        It costs one forward pass of a micro-batch, and changes nothing. All ranks come here together.
        """
        trained = {name: weight.detach() for name, weight in module.named_parameters() if weight.requires_grad}
        parts = [shards.own(weight) for weight in trained.values()]
        wrong_weights = not all(torch.isfinite(norm) for norm in torch._foreach_norm(parts))  # nor are squares
        fault = "that are not finite" if wrong_weights else ""
        if not trainer.strategy.reduce_boolean_decision(wrong_weights, all=False):  # or all compute the loss
            if self._first is not None and not torch.isfinite(self._loss(trainer, module)):
                fault = "with which the loss is not finite"
            if not trainer.strategy.reduce_boolean_decision(bool(fault), all=False):
                return
        step = trainer.global_step - int(self.dropped)  # the dropped one moved nothing
        wrong = at_fault({name: float(shards.whole(weight.float().norm())) for name, weight in trained.items()})
        self.events.tell("not_finite", step=step, weights=dict(sorted(wrong.items())[:NAMED]))
        hint, resumable = way_out(self.checkpoints, trainer, module, step, same=False)
        raise Unfit(
            f"The update of step {step} has made weights {fault or 'that are not finite on another device'}, so they "
            "are not saved.",
            where=f"step {step}",
            hint=hint,
            resumable=resumable,
        )

    def _loss(self, trainer: pl.Trainer, module: Any) -> torch.Tensor:
        """Of the first micro-batch of the latest step, with the weights as they are now."""
        modes = [(one, one.training) for one in module.modules()]
        module.eval()
        try:
            with (
                torch.no_grad(), self.random_state.kept(), self.part_states.kept(),
                trainer.precision_plugin.val_step_context(),
            ):  # fmt: skip
                loss: torch.Tensor = module.loss(self._first).sum
        finally:
            shards.reshard(module)
            for one, training in modes:
                one.training = training
        return loss

    def _described(
        self, trainer: pl.Trainer, module: pl.LightningModule, losses: torch.Tensor, norm: float
    ) -> NumericsError:
        """The event, and the error for those whom nothing else stops."""
        step = trainer.global_step + 1
        finite = math.isfinite(norm)  # else all ranks are here
        wrong = {} if finite else at_fault({name: float(shards.whole(one.norm())) for name, one in _gradients(module)})
        values = [float(loss) * trainer.accumulate_grad_batches for loss in losses]
        bad = [index for index, value in enumerate(values) if not torch.isfinite(torch.tensor(value))]
        suspects = [example for index in bad or range(len(values)) for example in self._examples[index]]
        self.events.tell(
            "not_finite",
            step=step,
            examples=self._examples,
            losses=values,
            gradient_norm=norm,
            parameters=dict(sorted(wrong.items())[:NAMED]),
            parameters_at_fault=len(wrong),
        )
        what = f"The loss is {values[bad[0]]}" if bad else "A gradient is not finite"
        named = ", ".join(map(str, suspects[:NAMED])) + (", …" if len(suspects) > NAMED else "")
        hint, resumable = way_out(self.checkpoints, trainer, module, step - 1, same=True)
        return NumericsError(
            f"{what} in step {step}{f', with examples {named}' if suspects else ''}; the weights are those of step "
            f"{step - 1}.",
            where=f"step {step}",
            hint=f"Look at these examples (events.jsonl has losses and norms), or {hint[0].lower()}{hint[1:]}",
            resumable=resumable,
        )


def _gradients(module: pl.LightningModule) -> list[tuple[str, torch.Tensor]]:
    return [(name, weight.grad) for name, weight in module.named_parameters() if weight.grad is not None]
