"""Measures each optimizer step and agrees on signals over all ranks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch

from luthier.training.energy import Meter
from luthier.training.memory import peak_bytes
from luthier.training.ranks_of_data import tensor_ranks
from luthier.training.signals import Signals

Listener = Callable[[dict[str, Any]], None]


class Heartbeat(pl.Callback):
    """Tells `listeners` of each optimizer step, on the first rank; is the first of the callbacks.

    A record holds step, epoch, loss, gradient_norm (before clipping), learning_rate, tokens (no padding, all ranks),
    seconds (validation and checkpoints left out), tokens_per_second and memory_bytes (peak of this process or its
    GPU). Loss and norm are what the module left in `step_loss` and `gradient_norm`; what is in its `step_metrics`, by
    name, is told as well. Where the processors do the work and their energy can be read, `joules` has what they used
    since the step before, pauses included.

    `stepped` says whether the batch that just ended completed a step, and `seconds` how long that took this rank;
    `stop` and `save` are the signals that any rank has seen, known to all ranks after the same step.
    """

    def __init__(self, signals: Signals, listeners: list[Listener]) -> None:
        self.signals, self.listeners = signals, listeners
        self.stepped, self.seconds = False, 0.0
        self.stop: int | None = None
        self.save = self.pausing = False
        self._last_step = 0
        self._rate = 0.0
        self._tokens: torch.Tensor | int = 0
        self._started = 0.0
        self._meter: Meter | None = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside is not part of a step's time."""
        at, before, self.pausing = time.perf_counter(), self.pausing, True
        try:
            yield
        finally:
            self.pausing = before
            self._started += time.perf_counter() - at

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._last_step, self._started, self._tokens = trainer.global_step, time.perf_counter(), 0
        self._meter = Meter() if trainer.strategy.root_device.type == "cpu" else None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        segments = getattr(batch, "segments", None)
        if segments is not None:
            self._tokens = self._tokens + (segments > 0).sum()

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        self._rate = float(optimizer.param_groups[0]["lr"])

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.stepped = trainer.global_step != self._last_step
        if not self.stepped:
            return
        self._last_step = trainer.global_step
        tokens = self._agree(trainer)
        now = time.perf_counter()
        self.seconds, self._started, self._tokens = now - self._started, now, 0
        if not trainer.is_global_zero:
            return
        record = self._record(trainer, pl_module, tokens, self.seconds)
        for tell in self.listeners:
            tell(record)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validation_started = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started += time.perf_counter() - self._validation_started

    def _agree(self, trainer: pl.Trainer) -> int:
        """Sum the tokens of all ranks and share the signals that any of them has seen, in one exchange."""
        asked_to_stop, self.signals.save, asked_to_save = self.signals.stop or 0, False, self.signals.save
        if trainer.world_size == 1:
            self.stop, self.save = asked_to_stop or None, asked_to_save
            return int(self._tokens)
        device = trainer.strategy.root_device
        own = torch.zeros(3, trainer.world_size, dtype=torch.int64, device=device)
        own[:, trainer.global_rank] = torch.stack(
            [torch.as_tensor(value, device=device) for value in (self._tokens, asked_to_stop, asked_to_save)]
        )
        shared = trainer.strategy.reduce(own, reduce_op="sum")
        assert isinstance(shared, torch.Tensor)
        tokens, (_, stop, save) = shared[0, :: tensor_ranks(trainer)].sum(), shared.amax(1)
        self.stop, self.save = int(stop) or None, bool(save)
        return int(tokens)

    def _record(self, trainer: pl.Trainer, module: pl.LightningModule, tokens: int, seconds: float) -> dict[str, Any]:
        left: Any = module
        own: dict[str, torch.Tensor] = getattr(left, "step_metrics", {})
        values = [value.detach().float() for value in (left.step_loss, left.gradient_norm, *own.values())]
        loss, norm, *measured = torch.stack(values).tolist()
        joules = self._meter.spent() if self._meter else None
        return {
            "step": trainer.global_step,
            "epoch": trainer.current_epoch,
            "loss": loss,
            **dict(zip(own, measured, strict=True)),
            "gradient_norm": norm,
            "learning_rate": self._rate,
            "tokens": tokens,
            "seconds": round(seconds, 6),
            "tokens_per_second": round(tokens / seconds, 2) if seconds else 0.0,
            "memory_bytes": peak_bytes(),
            **({} if joules is None else {"joules": round(joules, 3)}),
        }
