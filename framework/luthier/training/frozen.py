"""Checkpoints without frozen weights, which are verified by a fingerprint on resume."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytorch_lightning as pl
import torch

from luthier.errors import RecipeError
from luthier.training import shards

KEY = "luthier_frozen"


class WithoutFrozen(pl.Callback):
    """Leaves frozen weights out of checkpoints and checks, when one is loaded, that the same ones are there.

    RecipeError when the checkpoint is of other weights: another model, another adaptation, another set of names.
    """

    def __init__(self) -> None:
        self._print = ""
        self._names: set[str] | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        pl_module.strict_loading = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._frozen(pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        frozen = self._frozen(pl_module)
        self._print = self._print or fingerprint(frozen)
        state, others = checkpoint["state_dict"], _others(checkpoint["state_dict"], frozen)
        checkpoint["state_dict"] = {name: state[name] for name in state if name in others}  # in one order on all ranks
        checkpoint[KEY] = self._print

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        frozen = self._frozen(pl_module)
        here = _others(pl_module.state_dict(), frozen)
        there = set(checkpoint["state_dict"])
        if here != there:
            raise RecipeError(
                "The checkpoint holds other weights than this run moves: "
                + "; ".join(_few(word, names) for word, names in (("missing", here - there), ("unknown", there - here)))
                + ".",
                hint="Continue with the model and the adaptation that it was started with.",
            )
        self._print = fingerprint(frozen)
        if checkpoint.get(KEY, self._print) != self._print:
            raise RecipeError(
                "The frozen weights are not those that the checkpoint was trained with.",
                hint="Continue with the same model, at the same revision.",
            )

    def _frozen(self, module: pl.LightningModule) -> dict[str, torch.Tensor]:
        """The weights that no step of this training moves: settled at its start, as some rest for a while only."""
        named = dict(module.named_parameters(remove_duplicate=False))
        if self._names is None:
            moving = {weight for weight in module.parameters() if weight.requires_grad}
            self._names = {name for name, weight in named.items() if weight not in moving}
        return {name: named[name] for name in self._names}


def _others(names: Iterable[str], frozen: Mapping[str, Any]) -> set[str]:
    """The names of what is not frozen nor belongs to it, as `weight.absmax` belongs to a quantized `weight`."""
    return {name for name in names if not any(beginning in frozen for beginning in _beginnings(name))}


def _beginnings(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def fingerprint(tensors: dict[str, torch.Tensor]) -> str:
    """Names, shapes, types and the exact sum of each tensor's bits: the same on every device, one pass."""
    sha = hashlib.sha256()
    ordered = sorted(tensors.items())
    sums = [_bits(shards.own(tensor)) for _, tensor in ordered]
    totals = shards.over_ranks(torch.stack(sums), [tensor for _, tensor in ordered]).tolist() if sums else []
    for (name, tensor), total in zip(ordered, totals, strict=True):
        sha.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} {total}\n".encode())
    return sha.hexdigest()


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    whole = tensor.detach().contiguous().view(-1)
    bits = whole.view({1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[whole.element_size()])
    return bits.sum(dtype=torch.int64)


def _few(word: str, names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:3])
    return f"{len(names)} {word}{f' ({shown}, …)' if len(names) > 3 else f' ({shown})' if names else ''}"
