"""On which machines? The settings of a trainer, and the Lightning trainer made from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytorch_lightning as pl
import torch

if TYPE_CHECKING:
    from luthier.data.module import Data
    from luthier.method import Method

LIGHTNING_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed"}


class Trainer:
    """Fit a method to data with Lightning, for `epochs` or `max_steps` optimizer steps, whichever ends sooner.

    `precision` bf16 computes in bfloat16 over float32 weights, fp32 is exact. `clip` is the largest gradient norm.
    A checkpoint is written every `checkpoint_every` optimizer steps and at the end, and the newest `keep` stay.
    """

    def __init__(
        self,
        *,
        accelerator: Literal["cpu", "gpu", "auto"] = "cpu",
        devices: int | str = 1,
        strategy: str = "auto",
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

    def fit(
        self,
        method: Method,
        data: Data,
        folder: Path,
        loggers: Sequence[Any],
        callbacks: Sequence[Any],
        resume: str | None,
    ) -> pl.Trainer:
        """Train; the accumulation follows from the batch and the number of devices, so that the update does not."""
        lightning = pl.Trainer(
            accelerator=self.accelerator,
            devices=self.devices,
            strategy=self.strategy,
            precision=LIGHTNING_PRECISION[self.precision],  # type: ignore[arg-type]
            max_epochs=self.epochs,
            max_steps=self.max_steps or -1,
            gradient_clip_val=self.clip,
            log_every_n_steps=self.log_every,
            default_root_dir=folder,
            logger=list(loggers),
            callbacks=list(callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        )
        accumulation = data.accumulation(lightning.world_size)
        lightning.accumulate_grad_batches = accumulation
        method.steps = self.steps(data, lightning.world_size)
        lightning.fit(method, datamodule=data, ckpt_path=resume)
        return lightning

    def steps(self, data: Data, world: int) -> int:
        """Optimizer steps of the whole run."""
        return min(data.steps(self.epochs, world), self.max_steps or math.inf)  # type: ignore[return-value]
