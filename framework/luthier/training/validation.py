"""Validates while training, between two optimizer steps, and remembers all that it measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from luthier.contracts.scores import Score
from luthier.errors import RecipeError
from luthier.records import validations
from luthier.records.events import EventLog
from luthier.records.validations import HELD_OUT_LOSS, ValidationResult, best_of
from luthier.training import shards
from luthier.training.finite import Finite
from luthier.training.first_rank import of_first_rank, patient_group
from luthier.training.heartbeat import Heartbeat
from luthier.training.part_states import PartStates
from luthier.training.random_state import RandomState
from luthier.training.stopping import Stop, TrainingLoss
from luthier.training.validation_times import ValidationTimes

OWN = "validation_"
"""How the names of what is measured on held-out data begin."""


@dataclass(frozen=True)
class Validating:
    """What a training validates by: when, of how many steps in all and in an epoch, what ends it, what is kept.

    `score` is the name of the recipe's score and what measures it on the validation split, NaN where losses are not
    finite, called on all ranks; None where the held-out loss is monitored. Without held-out data (`held_out`) nothing
    validates. `ahead` is by how much the number of a step is ahead of the place in the epochs, in a run that
    began with smaller batches.
    """

    times: ValidationTimes
    steps: int
    steps_per_epoch: int
    stop: Stop
    keep_best: bool = False
    ahead: int = 0
    held_out: bool = True
    score: tuple[str, Callable[[], Score | None]] | None = None

    @property
    def monitor(self) -> str:
        """The name of the monitored value."""
        return self.score[0] if self.score else HELD_OUT_LOSS

    def after(self, step: int) -> bool:
        """Whether step `step`, counted from 1, is one that validates, but for a clock."""
        return self.times.after(step if self.times.steps else step - self.ahead, self.steps_per_epoch)


class Validation(pl.Callback):
    """Runs Lightning's validation loop where `how` says so; its own schedule is switched off.

    It is called at the end of an optimizer step, before that step's checkpoint is saved: a checkpoint holds what was
    measured at its step, or that this is still to be done, and a resumed run does it before anything else. What is the
    best and whether to stop follow from the results alone; all ranks have those of the first.
    """

    def __init__(
        self,
        how: Validating,
        file: Path,
        events: EventLog,
        heartbeat: Heartbeat,
        finite: Finite,
        random_state: RandomState,
        part_states: PartStates,
    ) -> None:
        self.how, self.file, self.events = how, file, events
        self.heartbeat, self.finite = heartbeat, finite
        self.random_state, self.part_states = random_state, part_states
        self.results: list[ValidationResult] = []
        self.training_loss = TrainingLoss()
        self.is_due = False
        self.wants_checkpoint = False
        self.stopped = ""
        self._step, self._seconds = 0, 0.0
        self._limit: int | float = 1.0
        self._ranks: Any = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._limit = trainer.limit_val_batches or 0
        trainer.limit_val_batches = 0  # Lightning itself never validates

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.world_size > 1:
            self._ranks = patient_group()
        if trainer.is_global_zero:
            validations.write(self.file, self.results)
        if self.is_due:
            self.carry_out(trainer, pl_module)
        self._stop(trainer)

    def arrive(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """An optimizer step is over: settle, on all ranks alike, whether a validation is due."""
        left: Any = pl_module
        how, self._step = self.how, trainer.global_step
        self.training_loss.add(math.nan if self.finite.dropped else float(left.step_loss))
        self._seconds += self.heartbeat.seconds
        self.wants_checkpoint = False
        self._stop(trainer)
        last = self._step >= how.steps or bool(self.stopped)
        at_time = how.times.by_clock and self._clock_says_so(trainer)
        self.is_due = how.held_out and (last or at_time or how.after(self._step))

    def carry_out(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validate, remember and decide. An exception on the way leaves it due."""
        began = time.perf_counter()
        with self.part_states.kept():
            measured, logged = self._held_out(trainer, pl_module)
            shards.reshard(pl_module)
            score = self._score(alone=trainer.world_size == 1)
        if self._ranks is not None:
            with self.heartbeat.paused():  # a score may take hours
                measured, score = of_first_rank((measured, score), self._ranks)
        self._remember(self._result(measured, score, pl_module))
        self.is_due, self._seconds = False, 0.0
        if trainer.is_global_zero:
            self._tell(trainer, logged, time.perf_counter() - began)
        self._stop(trainer)

    @property
    def best(self) -> ValidationResult | None:
        """The best of those whose checkpoint is kept."""
        return self._best(self._step)

    def best_step(self, step: int) -> int | None:
        """The step of what was the best at a step; None where there was none yet."""
        best = self._best(step)
        return best.step if best else None

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self._step,
            "is_due": self.is_due,
            "seconds": self._seconds,
            "results": [one.as_dict for one in self.results],
            "training_loss": self.training_loss.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._step, self.is_due, self._seconds = state_dict["step"], state_dict["is_due"], state_dict["seconds"]
        self.is_due = self.is_due and self.how.held_out
        self.results = [ValidationResult(**one) for one in state_dict["results"]]
        self.training_loss.load_state_dict(state_dict["training_loss"])

    def _best(self, step: int) -> ValidationResult | None:
        if not self.how.keep_best:
            return None
        known = [one for one in self.results if one.step <= step and one.kept and one.monitor == self.how.monitor]
        return best_of(known)

    def _stop(self, trainer: pl.Trainer) -> None:
        self.stopped = self.how.stop.reason(self.results, self.training_loss)
        if self.stopped:
            trainer.should_stop = True

    def _clock_says_so(self, trainer: pl.Trainer) -> bool:
        """Whether the first rank's clock does."""
        says = self._seconds >= (self.how.times.seconds or 0)
        if trainer.world_size == 1:
            return says
        own = torch.tensor(float(says and trainer.is_global_zero), device=trainer.strategy.root_device)
        return float(trainer.strategy.reduce(own, reduce_op="sum")) > 0

    def _held_out(self, trainer: pl.Trainer, module: pl.LightningModule) -> tuple[dict[str, float], set[str]]:
        """What the method measured on the validation split, and what of it Lightning has told the loggers."""
        loop, connector = trainer.fit_loop.epoch_loop.val_loop, trainer._logger_connector
        within = connector._first_loop_iter
        module.on_validation_model_zero_grad()
        trainer.limit_val_batches, loop.restarting, trainer.validating = self._limit, False, True
        try:
            logged = {name for one in loop.run() for name in one}
        finally:
            trainer.limit_val_batches, trainer.training, connector._first_loop_iter = 0, True, within
        known = trainer.callback_metrics.items()
        return {name: float(value) for name, value in known if name.startswith(OWN)}, logged

    def _score(self, *, alone: bool) -> Score | None:
        if self.how.score is None:
            return None
        with self.random_state.kept(), self.heartbeat.paused(), self.heartbeat.signals.answered_at_once(alone):
            return self.how.score[1]()

    def _result(self, measured: dict[str, float], score: Score | None, module: pl.LightningModule) -> ValidationResult:
        if score is None and HELD_OUT_LOSS not in measured:
            raise RecipeError(
                f"{type(module).__name__} measures no {HELD_OUT_LOSS} on the validation split.",
                where="trainer.monitor",
                hint="Use trainer.monitor=score, or log it in the method's on_validation_epoch_end.",
            )
        value, better = (score.value, score.better) if score else (measured[HELD_OUT_LOSS], "lower")
        return ValidationResult(
            step=self._step, monitor=self.how.monitor, value=value, better=better, kept=self.how.keep_best,
            measured=measured,
        )  # fmt: skip

    def _remember(self, result: ValidationResult) -> None:
        self.results.append(result)
        best = self.best
        is_best = best is not None and best.step == result.step
        self.wants_checkpoint = is_best or self.how.times.by_clock  # what a clock has decided is not decided anew

    def _tell(self, trainer: pl.Trainer, logged: set[str], seconds: float) -> None:
        result = self.results[-1]
        validations.write(self.file, self.results)
        best = self.best is result
        self.events.tell("validation", **result.line, seconds=round(seconds, 3), **({"best": True} if best else {}))
        told = {name: value for name, value in result.measured.items() if name not in logged}
        if self.how.score is not None:
            told["validation_score"] = result.value
        for logger in trainer.loggers if told else ():
            logger.log_metrics(told, result.step)
