"""Pruning from inside a job: each validation is reported to the study, which may end the training."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl

from luthier.disk.writing import write_json
from luthier.errors import RecipeError, ResourceError
from luthier.records.validations import words
from luthier.reporting.figures import format_number
from luthier.training.validation import Validation
from luthier.workflows.sweeps.jobs import PRUNED, TRIAL
from luthier.workflows.sweeps.study import NAME, pruner_named, storage

if TYPE_CHECKING:
    import optuna

    from luthier.records.validations import ValidationResult


class Pruned(ResourceError):  # noqa: N818 - read as `except Pruned`
    """The sweep spends no more on this job."""


@dataclass
class Pruning(pl.Callback):
    """Reports each validation to the study and raises Pruned where its pruner says so, on all ranks alike.

    `run` is the folder of the job. Lower monitored values are reported to a study that maximizes with the other sign.
    """

    run: Path
    sweep: Path
    number: int
    pruner: str
    reported: int = field(default=0)

    @classmethod
    def of_this_job(cls, run: Path) -> Pruning | None:
        """As the sweep said to this process; None outside one that prunes."""
        told = os.environ.get(TRIAL)
        if not told:
            return None
        values: dict[str, Any] = json.loads(told)
        return cls(run, Path(values["sweep"]), int(values["number"]), str(values["pruner"]))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not _validation(trainer).how.held_out:
            raise RecipeError(
                f"hydra.sweeper.pruner={self.pruner} needs values on the way, and nothing is validated.",
                where="hydra.sweeper.pruner",
                hint="Hold some out: data.splits.validation=0.1, and look often enough: trainer.validate_every=….",
            )

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **settings: Any) -> None:
        validation = _validation(trainer)
        new = validation.results[self.reported :]
        if not new:
            return
        self.reported = len(validation.results)
        is_last = trainer.global_step >= validation.how.steps
        prune = trainer.is_global_zero and self._report(new) and not is_last
        if trainer.strategy.broadcast(prune, src=0):
            last = new[-1]
            said = f"{words(last.monitor)} {format_number(last.value)} at step {last.step}"
            if trainer.is_global_zero:
                write_json(self.run / PRUNED, {"step": last.step, "value": last.value, "monitor": last.monitor})
            raise Pruned(f"Pruned by the sweep ({self.pruner}): {said}.", where=str(self.run))

    def _report(self, results: list[ValidationResult]) -> bool:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.load_study(
            study_name=NAME,
            storage=storage(self.sweep),
            sampler=optuna.samplers.RandomSampler(),
            pruner=pruner_named(self.pruner),
        )
        trial = optuna.trial.Trial(study, study.get_trials(deepcopy=False)[self.number]._trial_id)
        for result in results:
            trial.report(_toward(study, result), result.step)
        return bool(trial.should_prune())


def _toward(study: optuna.Study, result: ValidationResult) -> float:
    """The value with the sign with which the study's direction is the better one."""
    better = "higher" if study.direction.name == "MAXIMIZE" else "lower"
    return result.value if result.better == better else -result.value


def _validation(trainer: pl.Trainer) -> Validation:
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    return next(one for one in callbacks if isinstance(one, Validation))
