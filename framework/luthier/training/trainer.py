"""The settings of training on a machine, and the Lightning trainer made from them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytorch_lightning as pl
import torch

from luthier.errors import ResourceError
from luthier.training.callbacks import reliable
from luthier.training.checkpoint_io import SealedCheckpoints
from luthier.training.guarded_logger import GuardedLogger
from luthier.training.heartbeat import Listener
from luthier.training.strategies import Strategy

if TYPE_CHECKING:
    from luthier.data.module import Data
    from luthier.records.folder import RunFolder
    from luthier.training.method import Method
    from luthier.training.signals import Signals

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

    def fit(
        self, method: Method, data: Data, folder: RunFolder, signals: Signals, *, loggers: Sequence[GuardedLogger] = (),
        callbacks: Sequence[Any] = (), gradient_checkpointing: bool = False, start: Path | None = None,
    ) -> None:  # fmt: skip
        """Train, from a checkpoint where `start` names one.

        The accumulation follows from the batch and the number of devices, so that the update does not. `callbacks`
        come after those of the adaptation and of a reliable training.
        """

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
            default_root_dir=folder.path,
            logger=list(loggers),
            log_every_n_steps=1,
            callbacks=[*self._callbacks(method, data, folder, signals, tell, gradient_checkpointing), *callbacks],
            plugins=[SealedCheckpoints()],
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        )
        lightning.accumulate_grad_batches = data.accumulation(lightning.world_size)
        if self.validate_every:
            lightning.check_val_every_n_epoch = None
            lightning.val_check_interval = self.validate_every * lightning.accumulate_grad_batches
        method.steps = self.steps(data, lightning.world_size)
        lightning.fit(method, datamodule=data, ckpt_path=start)

    def _callbacks(
        self, method: Method, data: Data, folder: RunFolder, signals: Signals, tell: Listener, checkpointing: bool
    ) -> list[Any]:
        acting = method.adaptation.callbacks()  # first: what they do after a step is in that step's checkpoint
        own = reliable(
            folder,
            signals,
            [tell],
            every=self.checkpoint_every,
            keep=self.keep,
            micro=data.micro,
            length=data.length,
            checkpointing=checkpointing,
        )
        return [*acting, *own]

    def steps(self, data: Data, world: int) -> int:
        """Optimizer steps of the whole run."""
        return min(data.steps(self.epochs, world), self.max_steps or math.inf)  # type: ignore[return-value]
