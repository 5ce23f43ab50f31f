"""The settings of training on a machine, and the Lightning trainer made from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytorch_lightning as pl
import torch

from luthier.errors import DataError, RecipeError
from luthier.plugins.returned import misreturned, returned
from luthier.records.validations import ValidationResult
from luthier.training.best_checkpoint import BestCheckpoint
from luthier.training.callbacks import reliable
from luthier.training.checkpoint_io import Description, SealedCheckpoints, describe
from luthier.training.cluster import environments, refuse_several
from luthier.training.guarded_logger import GuardedLogger
from luthier.training.heartbeat import Listener
from luthier.training.precision import Precision, device_of, faster
from luthier.training.ranks_of_data import ranks_of_data
from luthier.training.resumed_place import ResumedPlace
from luthier.training.spikes import Policy
from luthier.training.step_digests import StepDigests
from luthier.training.stopping import Stop
from luthier.training.strategies import Single, Strategy, made
from luthier.training.validation import Validating, Validation
from luthier.training.validation_times import ValidationTimes
from luthier.training.watchdog import Policy as WhenHung

if TYPE_CHECKING:
    from luthier.contracts.adaptation import Adaptation
    from luthier.contracts.scores import Score
    from luthier.contracts.training import StatefulPart
    from luthier.data.module import Data
    from luthier.records.folder import RunFolder
    from luthier.training.method import Method
    from luthier.training.signals import Signals

LIGHTNING_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed"}


def _acting(adaptation: Adaptation) -> list[pl.Callback]:
    """The callbacks of an adaptation; PluginError where it gives anything else."""
    acting = list(returned(adaptation.callbacks(), (list, tuple), adaptation.callbacks))
    for one in acting:
        if not isinstance(one, pl.Callback):
            raise misreturned(adaptation.callbacks, "Lightning callbacks", one)
    return acting


@dataclass(frozen=True)
class TrainingEnd:
    """How a training ended: after which of its steps and why before the last, what was measured, what was the best.

    `stopped` is empty where it went through to its last step, `best` None where the last checkpoint is kept.
    """

    step: int = 0
    steps: int = 0
    results: Sequence[ValidationResult] = ()
    stopped: str = ""
    best: ValidationResult | None = None


class Trainer:
    """Fit a method to data with Lightning, for `epochs` or `max_steps` optimizer steps, or until `stop` ends it.

    `precision` bf16 computes in bfloat16 over float32 weights, fp32 is exact, auto is bf16 where the device computes
    it faster than float32 and fp32 elsewhere; what it became stands in the run's resolved recipe. `clip` is the
    largest gradient norm.
    A checkpoint is written every `checkpoint_every` optimizer steps and at the end, and the newest `keep` stay.
    Trackers hear of every `log_every`th step; metrics.jsonl has them all.

    The validation split is looked at every `validate_every` optimizer steps, every `validate_every_epochs` epochs
    (0.25: four times in each) or every `validate_every_seconds` seconds of training, of which one can be set; without
    any, after each epoch; and after the last step. Seconds are those of the optimizer steps on the first device:
    validations, checkpoints and the time between a kill and a resume do not count.

    `monitor` is the value that decides: `score` is the recipe's score, measured as by the evaluation but on the
    validation split; `loss` is the method's loss on all of that split. With `keep_best` the artifact is made of the
    checkpoint with the best monitored value, the earlier one of two equals, which stays beside the newest `keep`.

    A training in which no part of a step is reached for `hang_after` seconds ends with exit code 5, and says where it
    hangs; a score may take any time. None waits for ever. With `when_hung` resume it goes on from the last checkpoint
    instead, once, where luthier started all ranks of the run on one machine.

    A step whose loss is beyond six standard deviations of the 128 before it is a spike: `spikes` flag tells it, skip
    keeps it from the weights, too; rollback also makes the weights and the optimizer's state those of the newest
    checkpoint again, and goes on with the next data. Fifty of them among 128 steps end the run with exit code 4.

    Before the training takes more than `max_seconds` seconds, or the run's folder more than `max_disk` GB with another
    checkpoint, it saves and ends with exit code 5, to go on with resume=auto.
    """

    def __init__(
        self,
        strategy: Strategy,
        stop: Stop,
        *,
        accelerator: Literal["cpu", "gpu", "auto"] = "cpu",
        devices: int | str = 1,
        num_nodes: int = 1,
        precision: Literal["auto", "fp32", "bf16"] = "auto",
        epochs: int = 1,
        max_steps: int | None = None,
        clip: float | None = 1.0,
        checkpoint_every: int = 100,
        keep: int = 2,
        log_every: int = 1,
        validate_every: int | None = None,
        validate_every_epochs: float | None = None,
        validate_every_seconds: float | None = None,
        monitor: Literal["score", "loss"] = "score",
        keep_best: bool = False,
        hang_after: float | None = 900,
        when_hung: WhenHung = "end",
        spikes: Policy = "flag",
        max_seconds: float | None = None,
        max_disk: float | None = None,
    ) -> None:
        self.accelerator = accelerator
        """cpu, gpu or auto."""
        self.devices = devices
        """How many devices on each machine; auto: all there are."""
        self.num_nodes = num_nodes
        """How many machines."""
        self.strategy = strategy
        """Makes the strategy of Lightning."""
        self.precision = precision
        self.epochs, self.max_steps, self.clip = epochs, max_steps, clip
        self.checkpoint_every, self.keep, self.log_every = checkpoint_every, keep, log_every
        self.validation_times = ValidationTimes(validate_every, validate_every_epochs, validate_every_seconds)
        """When the validation split is looked at."""
        for name, value in (("max_seconds", max_seconds), ("max_disk", max_disk)):
            if value is not None and not value > 0:
                raise RecipeError(
                    f"trainer.{name} is {value}.", where=f"trainer.{name}", hint="Use more than 0, or null."
                )
        self.max_seconds, self.max_disk = max_seconds, max_disk
        self.hang_after, self.when_hung = hang_after, when_hung
        self.stop, self.monitor, self.keep_best, self.spikes = stop, monitor, keep_best, spikes
        if isinstance(strategy, Single):
            refuse_several(devices, num_nodes, on_gpu=accelerator != "cpu" and torch.cuda.is_available())

    @property
    def autocast(self) -> torch.dtype | None:
        """The dtype that forward passes compute in, None for that of the weights."""
        return torch.bfloat16 if self.computes_in == "bf16" else None

    @property
    def computes_in(self) -> Precision:
        """The precision, decided where the recipe leaves it to the machine."""
        return faster(self.device) if self.precision == "auto" else self.precision

    @property
    def device(self) -> torch.device:
        """Where a network computes that this process holds whole."""
        return device_of(self.accelerator)

    @property
    def needs_validation(self) -> bool:
        """Whether it depends on held-out data when the training ends or what is kept of it."""
        return self.keep_best or self.stop.needs_validation

    def refuse_without_validation(self, examples: int | None) -> None:
        """DataError where it depends on held-out data, and the data has none; None is a number that is not known."""
        if self.needs_validation and examples == 0:
            wants = "trainer.keep_best" if self.keep_best else "trainer.stop.patience"
            raise DataError(
                f"{wants} looks at the validation split, and the data has none.",
                where=wants,
                hint="Hold some examples out with data.splits.validation=0.1; where the data names the splits itself, "
                "name one of them validation.",
            )

    @property
    def monitors_score(self) -> bool:
        """Whether the recipe's score is measured on the validation split while training."""
        return self.needs_validation and self.monitor == "score"

    def fit(
        self, method: Method, data: Data, folder: RunFolder, signals: Signals, *, loggers: Sequence[GuardedLogger] = (),
        callbacks: Sequence[Any] = (), gradient_checkpointing: bool = False, start: Path | None = None,
        score: tuple[str, Callable[[], Score | None]] | None = None, stateful: Mapping[str, StatefulPart] | None = None,
    ) -> TrainingEnd:  # fmt: skip
        """Train, from a checkpoint where `start` names one.

        The accumulation follows from the batch and the number of devices, so that the update does not. `callbacks`
        come after those of the adaptation and of a reliable training. `score` is the recipe's, with what measures it
        on the validation split. The state of the parts in `stateful` is in the checkpoints.

        - *Given*: the parts `strategy` and `stop`, and settings; `fit` the method, the data, the folder of the run and
          what listens.
        - *Returns*: a `TrainingEnd`. Inherit `Trainer` and give other defaults, or override a step of `fit`; a trainer
          of another kind is not one.
        - *Called*: once in a run, in the stage `fit`; its `device`, `computes_in` and `steps` before, too.
        - *Ranks*: on every rank.
        - *Raises*: RecipeError or DataError before training where it cannot be; what training raises passes through.
        - *Resume*: `start` names the checkpoint: weights, optimizer, random numbers, place in the data and states of
          parts are given back, and the run goes on bit for bit.
        - *Nested*: the positional parameters `strategy` and `stop`, answered from `trainer/strategy/` and
          `trainer/stop/`.
        """

        def tell(record: dict[str, Any]) -> None:
            if record["step"] % self.log_every == 0:
                measured = {name: value for name, value in record.items() if name != "step"}
                for logger in loggers:
                    logger.log_metrics(measured, record["step"])

        saved = describe(start) if start else None
        method.steps = self.steps(data, saved)
        validating = Validating(
            self.validation_times, method.steps, data.steps(1, 1), self.stop, self.keep_best,
            ahead=saved.step - data.resumed_steps(saved.place, self.epochs).before if saved else 0,
            held_out=data.blocks("validation") is not None, score=score if self.monitors_score else None,
        )  # fmt: skip
        own, validation = self._callbacks(
            method, data, folder, signals, validating, tell, stateful, gradient_checkpointing
        )
        lightning = pl.Trainer(
            accelerator=self.accelerator,
            devices=self.devices,
            num_nodes=self.num_nodes,
            strategy=made(self.strategy),
            precision=LIGHTNING_PRECISION[self.computes_in],  # type: ignore[arg-type]
            max_epochs=self.epochs,
            max_steps=self.max_steps or -1,
            gradient_clip_val=self.clip,
            default_root_dir=folder.path,
            logger=list(loggers),
            log_every_n_steps=1,
            callbacks=[*own, *callbacks],
            plugins=[SealedCheckpoints(), *environments()],
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            inference_mode=False,  # no backward pass takes its tensors, as weights gathered in it would be
        )
        lightning.accumulate_grad_batches = data.accumulation(ranks_of_data(lightning))
        lightning.fit(method, datamodule=data, ckpt_path=start)
        step, steps = lightning.global_step, method.steps
        early = validation.stopped if step < steps else ""
        return TrainingEnd(step, steps, tuple(validation.results), early, validation.best)

    def _callbacks(
        self, method: Method, data: Data, folder: RunFolder, signals: Signals, validating: Validating, tell: Listener,
        stateful: Mapping[str, StatefulPart] | None, gradient_checkpointing: bool,
    ) -> tuple[list[Any], Validation]:  # fmt: skip
        """Those of the adaptation and of a reliable training, and of these the one that validates."""
        acting = _acting(method.adaptation)  # before ours: what they do after a step is in that step's checkpoint
        digests = StepDigests(folder.digests, data.seen.taken)
        own = reliable(
            folder, signals, validating, [digests.tell, tell], stateful, every=self.checkpoint_every, keep=self.keep,
            micro=data.micro, length=data.length, checkpointing=gradient_checkpointing, spikes=self.spikes,
            hang_after=self.hang_after, when_hung=self.when_hung, seconds=self.max_seconds,
            disk=None if self.max_disk is None else self.max_disk * 1e9,
        )  # fmt: skip
        validation = next(one for one in own if isinstance(one, Validation))
        best = BestCheckpoint(folder.checkpoints, validation, acting)
        return [best, *acting, digests, *own, ResumedPlace(data)], validation

    def steps(self, data: Data, saved: Description | None = None) -> int:
        """Optimizer steps of the whole run, on any number of devices; after `saved` with batches as they are now."""
        whole = data.steps(self.epochs, 1)
        if saved is not None:
            whole = saved.step + data.resumed_steps(saved.place, self.epochs).left
        return min(whole, self.max_steps or whole)
