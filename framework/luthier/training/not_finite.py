"""What a training ends with whose numbers are not finite: the parameters at fault, and a way out that leads out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from luthier.errors import NumericsError
from luthier.errors.pasting import setting_to_paste
from luthier.training import checkpoint_files

NAMED = 10
HIGHEST = 1e-4
"""The highest learning rate that is advised: one that was far too high is not lowered step by step."""


class Unfit(NumericsError):  # noqa: N818 - read as `except Unfit`
    """The weights of the last completed step are not worth a checkpoint."""


def at_fault(values: Mapping[str, float]) -> dict[str, float]:
    """Those that are not finite."""
    return {name: value for name, value in values.items() if not math.isfinite(value)}


def way_out(
    folder: Path, trainer: pl.Trainer, module: pl.LightningModule, step: int, *, same: bool
) -> tuple[str, bool]:
    """How to go on where the weights of `step` led to numbers that are not finite, and whether resume=auto does.

    Where a checkpoint holds these very weights (`same`), the step after it would compute the same again, at whatever
    learning rate.
    """
    saved = {checkpoint_files.step_of(path) or 0: path for path in checkpoint_files.checkpoints(folder)}
    lower = _lower(module)
    if same and step in saved:
        again = f"the checkpoint of step {step} holds these weights, and going on from it would compute the same"
        if earlier := [number for number in saved if number < step]:
            before = setting_to_paste("resume", str(saved[max(earlier)]))
            return f"Go on from the checkpoint before it with {lower} {before}: {again}.", False
        return f"Begin anew with {lower} and resume=never: {again}.", False
    if saved:
        return f"Go on from step {max(saved)}, the last checkpoint, with {lower} and resume=auto.", True
    start = Path(trainer.ckpt_path) if trainer.ckpt_path else None
    if start and not (same and checkpoint_files.step_of(start) == step):
        return f"Go on from where this run began with {lower} {setting_to_paste('resume', str(start))}.", False
    return f"Begin anew with {lower}; there is no checkpoint to go on from.", False


def _lower(module: Any) -> str:
    """The setting of a learning rate that is a tenth of what it was, and none that is known to be high."""
    rate = getattr(getattr(module, "optimizer", None), "lr", None)
    if not isinstance(rate, float | int):
        return "a lower optimizer.lr"
    return f"optimizer.lr={min(rate / 10, HIGHEST):.1g}"
