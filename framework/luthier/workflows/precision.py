"""The precision of a run: what its recipe says, what the resumed run began with, or what the machine is faster in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

from luthier.config import checks, precision
from luthier.errors import ResourceError
from luthier.records.folder import RunFolder
from luthier.training import checkpoint_files
from luthier.training.precision import Precision, device_of, faster, in_words, is_worth

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from luthier.config.compose import Composition

WORDS = {"fp32": "float32", "bf16": "bfloat16 autocast"}
LOW = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""What weights may be stored in, and then compute in where there is no autocast."""


def settle(composition: Composition, folder: RunFolder | None = None) -> Composition:
    """The composition with `trainer.precision: auto` decided, and with what is to say of its precision.

    A run that is resumed keeps the precision that it began with: `folder` is where it goes on. Where the device is
    not there, the composition stays as it is: the trainer refuses it.
    """
    config = composition.config
    if composition.precision or not precision.decides(config.trainer):
        return composition
    given = str(config.trainer.precision)
    try:
        device = device_of(str(config.trainer.accelerator))
    except ResourceError:
        return composition
    if given != precision.AUTO:
        return replace(composition, precision=WORDS[given], notes=slow(config, device))
    begun = _begun_with(config.resume, folder)
    chosen = begun or faster(device)
    why = "as the run began" if begun else f"as {in_words(device, torch.bfloat16)}"
    settled = precision.decided(config, chosen)
    return replace(
        composition,
        config=settled,
        precision=f"{WORDS[chosen]}, {why}",
        notes=slow(settled, device),
        decided=(f"{precision.SETTING}={chosen}",),
    )


def _begun_with(resume: str | None, folder: RunFolder | None) -> Precision | None:
    """The precision of the run that is resumed; None where a run begins."""
    if resume in (None, "never"):
        return None
    if resume != "auto":
        path = Path(str(resume))
        folder = RunFolder(path.parent.parent if checkpoint_files.step_of(path) is not None else path)
    then = checks.at(folder.read_resolved(), precision.SETTING) if folder is not None else None
    return cast(Precision, then) if then in precision.ANSWERS else None


def slow(config: DictConfig, device: torch.device) -> tuple[str, ...]:
    """A sentence where the network is to compute in a precision that this device emulates."""
    stored = str(checks.at(config, "model.dtype"))
    if checks.at(config, precision.SETTING) == "bf16":
        given, other, dtype = f"{precision.SETTING}=bf16", f"{precision.SETTING}=fp32", torch.bfloat16
    elif stored in LOW:
        given, other, dtype = f"model.dtype={stored}", "model.dtype=float32", LOW[stored]
    else:
        return ()
    return () if is_worth(device, dtype) else (f"{given}: {in_words(device, dtype)}. {other} is faster here.",)
