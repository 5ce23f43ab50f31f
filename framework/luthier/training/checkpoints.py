"""When a run saves: every few optimizer steps, at its end, and when a signal asks."""

from __future__ import annotations

import copy
import logging
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from luthier.errors.interrupted import Interrupted
from luthier.records.events import EventLog
from luthier.training import checkpoint_files
from luthier.training.heartbeat import Heartbeat
from luthier.training.memory import is_out_of_memory
from luthier.training.metrics_log import MetricsLog
from luthier.training.not_finite import Unfit
from luthier.training.random_state import RandomState
from luthier.training.signals import Signals
from luthier.training.validation import Validation

log = logging.getLogger(__name__)


class Checkpoints(pl.Callback):
    """Saves after every `every` optimizer steps (0: only at the end) and keeps the newest `keep` (0: all) and the best.

    A checkpoint is always of the last completed optimizer step. Between two steps the weights stand still, so the
    counters of the loops, the position in the data and the random generators are remembered at each step, and a save
    in the middle of an accumulation, a validation or a wait for data writes those. `validation` has its turn between a
    step and its checkpoint.
    """

    def __init__(
        self,
        folder: Path,
        heartbeat: Heartbeat,
        random_state: RandomState,
        metrics: MetricsLog,
        events: EventLog,
        validation: Validation,
        *,
        every: int = 100,
        keep: int = 2,
    ) -> None:
        self.folder, self.heartbeat, self.random_state = folder, heartbeat, random_state
        self.metrics, self.events, self.validation = metrics, events, validation
        self.every, self.keep = every, keep
        self._loops: dict[str, Any] | None = None
        self._saved = -1
        self.last_saved: Path | None = None
        self.longest_save = 0.0

    @property
    def signals(self) -> Signals:
        return self.heartbeat.signals

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.signals.install()
        self.signals.training, self.signals.waiting = True, trainer.world_size == 1
        self._saved = trainer.global_step if trainer.ckpt_path else -1
        if trainer.is_global_zero:
            went = self.metrics.start_after(trainer.global_step)
            self.events.tell("training", step=trainer.global_step, resumed=bool(trainer.ckpt_path), lines_cut=went)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.signals.waiting = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.heartbeat.stepped:
            self._loops = _counters(trainer)
            self.random_state.remember()
            self.validation.arrive(trainer, pl_module)
            if self.heartbeat.stop:
                self.save(trainer)  # here, where all ranks are: an exception ends them one by one
                raise Interrupted(self.heartbeat.stop)
            if self.validation.is_due:
                self.validation.carry_out(trainer, pl_module)
            regular = self.every and trainer.global_step % self.every == 0
            if regular or self.heartbeat.save or self.validation.wants_checkpoint:
                self.save(trainer)
        self._stop_if_alone(trainer)
        self.signals.waiting = trainer.world_size == 1

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.signals.waiting = False
        self._stop_if_alone(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        self._stop_if_alone(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.signals.waiting = False
        self.save(trainer)
        self.signals.training = False
        self.metrics.close()
        if self.signals.stop:
            raise Interrupted(self.signals.stop)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.signals.waiting = False
        if isinstance(exception, Interrupted):
            if trainer.world_size == 1:
                self.save(trainer)
            self.events.tell("interrupted", code=exception.code, step=trainer.global_step)
        if is_out_of_memory(exception) and trainer.world_size == 1:
            pl_module.zero_grad(set_to_none=True)  # of a part of a step, and memory that the save may need
            self.save(trainer)
        self.signals.training = False
        self.metrics.close()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if self._loops is not None:
            checkpoint["loops"]["fit_loop"] = self._loops

    def save(self, trainer: pl.Trainer) -> None:
        """Save the last completed step, unless it is saved or there is none; all ranks must come here together."""
        step = trainer.global_step
        if step in (0, self._saved) or self._loops is None:
            return
        with self.heartbeat.paused():
            if not self._is_fit(trainer):
                return
            at = time.perf_counter()
            self.metrics.sync()
            path = self.folder / checkpoint_files.folder_name(step)
            trainer.save_checkpoint(path)
            self._saved, self.last_saved = step, path
            self.longest_save = max(self.longest_save, time.perf_counter() - at)
            if trainer.is_global_zero:
                removed = checkpoint_files.prune(self.folder, self.keep, self.validation.best_step)
                seconds = round(time.perf_counter() - at, 3)
                self.events.tell("checkpoint", step=step, seconds=seconds, removed=[old.name for old in removed])
                log.info("Saved step %d in %.2f s.", step, seconds)

    def _is_fit(self, trainer: pl.Trainer) -> bool:
        """Whether the weights are worth a checkpoint; NumericsError where they are not, and no other is the best."""
        try:
            self.validation.finite.check(trainer, trainer.lightning_module)
        except Unfit:
            best = self.validation.best
            if not self.validation.finite.drops or best is None or best.step == trainer.global_step:
                raise
            return False
        return True

    def _stop_if_alone(self, trainer: pl.Trainer) -> None:
        """End between two steps; several ranks can only do so together, after a step."""
        if trainer.world_size == 1 and self.signals.training and self.signals.stop:
            raise Interrupted(self.signals.stop)


def _counters(trainer: pl.Trainer) -> dict[str, Any]:
    """The loops' counters and the loader's position, none of which moves on any more."""
    state: dict[str, Any] = trainer.fit_loop.state_dict()
    state["state_dict"] = copy.deepcopy(state["state_dict"])  # a loader may hand out what it counts with
    return state
