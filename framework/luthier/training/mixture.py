"""What a training does about mixtures of experts: it counts the load of experts, and adds the loss that balances it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from luthier.models.experts.balance import RoutingTotals, balanced_top_k, balancing_loss, routing_totals
from luthier.models.experts.recording import Recorded, RoutingRecorder

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from luthier.contracts.batch import Batch


@dataclass(frozen=True, slots=True)
class StepTotals:
    """What the load-balancing loss of an optimizer step needs of all its micro-batches and ranks."""

    chosen: Tensor
    """How often each expert was among the top k, float32 [experts]."""
    rows: Tensor
    """Tokens times routers."""
    weight: Tensor
    """The weight of the method's own loss."""

    @classmethod
    def sum(cls, parts: Sequence[StepTotals]) -> StepTotals:
        """The totals of several micro-batches."""
        names = [field.name for field in fields(cls)]
        return cls(*(torch.stack([getattr(part, name) for part in parts]).sum(0) for name in names))


class Mixture:
    """The experts of a network in training: their load, and the load-balancing loss with its `coefficient`.

    The loss is that of all text tokens of an optimizer step, whatever micro-batches and ranks it is cut into:
    experts · Σᵢ fᵢ Pᵢ with the share fᵢ of tokens whose top k hold expert i, which has no gradient, and the mean
    probability Pᵢ. A step of several micro-batches must therefore be counted before the first backward pass: `count`.
    """

    def __init__(self, network: nn.Module, coefficient: float) -> None:
        self.recorder = RoutingRecorder(network)
        self.coefficient = coefficient
        self.top_k = (balanced_top_k(network) or 0) if coefficient else 0
        self.loads = [torch.zeros(count, dtype=torch.float64) for count in self.recorder.layers.values()]
        self._step = [torch.zeros(count) for count in self.recorder.layers.values()]
        self._counted: StepTotals | None = None
        self._measured: list[RoutingTotals] = []

    @property
    def by_layer(self) -> dict[str, Tensor]:
        """Tokens that each expert was given in the whole training, by the layer's name."""
        return dict(zip(self.recorder.layers, self.loads, strict=True))

    @contextmanager
    def recording(self, batch: Batch) -> Iterator[Recorded]:
        """Record the forward passes of a micro-batch, up to the backward pass."""
        with self.recorder.recording(batch.segments > 0, keeps_logits=self.top_k > 0) as recorded:
            yield recorded
        self._step = [load.to(new.device) + new for load, new in zip(self._step, recorded.loads, strict=True)]

    def loss(self, recorded: Recorded, weight: Tensor, trainer: pl.Trainer) -> Tensor | None:
        """What a micro-batch adds to the sum of the loss, so that the step's gradient, divided by its weight, is whole.

        `weight` is that of the method's own loss over the micro-batch. None where nothing is balanced.
        """
        if not self.top_k or not recorded.logits:
            return None
        totals = routing_totals(recorded.logits, self.top_k)
        self._measured.append(RoutingTotals(totals.chosen, totals.probability.detach(), totals.rows))
        step = self._counted or _over_ranks(StepTotals(totals.chosen, totals.rows, weight.detach()), trainer)
        balanced = balancing_loss(step.chosen, totals.probability, step.rows)
        return self.coefficient * step.weight * balanced

    def count(self, counted: StepTotals, trainer: pl.Trainer) -> None:
        """Take the totals of all micro-batches of this rank's next step, before any of them is trained on."""
        self._counted = _over_ranks(counted, trainer)

    def step_metrics(self, trainer: pl.Trainer) -> dict[str, Tensor]:
        """The metrics of the step that ends, over all ranks, and the end of its count.

        `expert_load_cv`: the coefficient of variation of the experts' loads, averaged over layers. `idle_experts`: the
        share of experts that were given no token. `router_aux_loss`: the load-balancing loss without its coefficient.
        """
        loads = [_sum(load, trainer) for load in self._step]
        self.loads = [total + load.double().cpu() for total, load in zip(self.loads, loads, strict=True)]
        self._step = [torch.zeros_like(load) for load in loads]
        metrics: dict[str, Tensor] = {}
        if loads:
            metrics["expert_load_cv"] = torch.stack([variation(load) for load in loads]).mean()
            metrics["idle_experts"] = torch.cat([load == 0 for load in loads]).float().mean()
        if self._measured:
            chosen, probability, rows = (
                _sum(torch.stack([getattr(one, name) for one in self._measured]).sum(0), trainer)
                for name in ("chosen", "probability", "rows")
            )
            metrics["router_aux_loss"] = balancing_loss(chosen, probability, rows)
        self._counted, self._measured = None, []
        return metrics


def variation(load: Tensor) -> Tensor:
    """The coefficient of variation of loads, a scalar: their standard deviation by their mean; 0 where none is."""
    mean = load.mean()
    return load.std(correction=0) / mean.clamp_min(torch.finfo(load.dtype).tiny)


def _over_ranks(totals: StepTotals, trainer: pl.Trainer) -> StepTotals:
    return StepTotals(_sum(totals.chosen, trainer), _sum(totals.rows, trainer), _sum(totals.weight, trainer))


def _sum(value: Tensor, trainer: pl.Trainer) -> Tensor:
    if trainer.world_size == 1:
        return value
    total = trainer.strategy.reduce(value.to(trainer.strategy.root_device).clone(), reduce_op="sum")
    assert isinstance(total, Tensor)
    return total
