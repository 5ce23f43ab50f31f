"""On which machines? The settings of a trainer, and the Lightning trainer made from them."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytorch_lightning as pl
import torch

from luthier.errors import ResourceError
from luthier.training.callbacks import reliable
from luthier.training.checkpoint_io import SealedCheckpoints
from luthier.training.guarded_logger import Guarded
from luthier.training.heartbeat import Listener
from luthier.training.strategies import Strategy

if TYPE_CHECKING:
    from luthier.data.module import Data
    from luthier.workflows.run import Run

LIGHTNING_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed"}


class Trainer:
    """Fit a method to data with Lightning, for `epochs` or `max_steps` optimizer steps, whichever ends sooner.

    `precision` bf16 computes in bfloat16 over float32 weights, fp32 is exact. `clip` is the largest gradient norm.
    A checkpoint is written every `checkpoint_every` optimizer steps and at the end, and the newest `keep` stay.
    Trackers hear of every `log_every`th step; metrics.jsonl has them all. The validation split is looked at every
    `validate_every` steps, or after each epoch.
    """

    def __init__(
        self,
        strategy: Strategy,
        *,
        accelerator: Literal["cpu", "gpu", "auto"] = "cpu",
        devices: int | str = 1,
        precision: Literal["fp32", "bf16"] = "bf16",
        epochs: int = 1,
        max_steps: int | None = None,
        clip: float | None = 1.0,
        checkpoint_every: int = 100,
        keep: int = 2,
        log_every: int = 1,
        validate_every: int | None = None,
    ) -> None:
        self.accelerator, self.devices, self.strategy, self.precision = accelerator, devices, strategy, precision
        self.epochs, self.max_steps, self.clip = epochs, max_steps, clip
        self.checkpoint_every, self.keep, self.log_every = checkpoint_every, keep, log_every
        self.validate_every = validate_every

    @property
    def autocast(self) -> torch.dtype | None:
        """The dtype that forward passes compute in, None for that of the weights."""
        return torch.bfloat16 if self.precision == "bf16" else None

    @property
    def device(self) -> torch.device:
        """Where a network computes that this process holds whole."""
        seen = torch.cuda.is_available()
        if self.accelerator == "gpu" and not seen:
            raise ResourceError(
                "trainer=gpu needs a CUDA device, and torch sees none.",
                where="trainer.accelerator",
                hint="Use trainer=cpu, or install a torch built for your driver.",
            )
        if self.accelerator != "cpu" and seen:
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        return torch.device("cpu")

    def fit(self, run: Run, start: Path | None) -> None:
        """Train, from a checkpoint where `start` names one.

        The accumulation follows from the batch and the number of devices, so that the update does not.
        """
        loggers = run.loggers = [Guarded.around(logger) for logger in run.tracking(run.folder)]

        def tell(record: dict[str, Any]) -> None:
            if record["step"] % self.log_every == 0:
                measured = {name: value for name, value in record.items() if name != "step"}
                for logger in loggers:
                    logger.log_metrics(measured, record["step"])

        lightning = pl.Trainer(
            accelerator=self.accelerator,
            devices=self.devices,
            strategy=self.strategy(),
            precision=LIGHTNING_PRECISION[self.precision],  # type: ignore[arg-type]
            max_epochs=self.epochs,
            max_steps=self.max_steps or -1,
            gradient_clip_val=self.clip,
            default_root_dir=run.folder.path,
            logger=loggers,
            log_every_n_steps=1,
            callbacks=self._callbacks(run, tell),
            plugins=[SealedCheckpoints()],
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        )
        lightning.accumulate_grad_batches = run.data.accumulation(lightning.world_size)
        if self.validate_every:
            lightning.check_val_every_n_epoch = None
            lightning.val_check_interval = self.validate_every * lightning.accumulate_grad_batches
        run.method.steps = self.steps(run.data, lightning.world_size)
        lightning.fit(run.method, datamodule=run.data, ckpt_path=start)

    def _callbacks(self, run: Run, tell: Listener) -> list[Any]:
        acting = run.adaptation.callbacks()  # first: what they do after a step is in that step's checkpoint
        own = reliable(
            run.folder,
            run.signals,
            [tell],
            every=self.checkpoint_every,
            keep=self.keep,
            micro=run.data.micro,
            length=run.data.length,
            checkpointing=bool(run.composition.config.model.get("gradient_checkpointing")),
        )
        foreign = run.plugins.ask("luthier_callbacks", config=run.composition.config)
        return [*acting, *own, *(callback for _, found in foreign for callback in found)]

    def steps(self, data: Data, world: int) -> int:
        """Optimizer steps of the whole run."""
        return min(data.steps(self.epochs, world), self.max_steps or math.inf)  # type: ignore[return-value]
