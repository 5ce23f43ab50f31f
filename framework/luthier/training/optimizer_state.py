"""What optimizers have gathered, by the names of weights: a training that goes on moves them as its recipe says now."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from luthier.training import shards

NAMES = "luthier_optimized"
"""The key of a checkpoint under which each optimizer's weights are named, in the order of its state."""


class OptimizerState(pl.Callback):
    """Takes over running means and counts of steps, and none of the settings that they were gathered with.

    Lightning would put the rates, the decay and the schedule of the checkpoint over those of the recipe. Here the
    optimizers and schedules stay as they were built, a schedule is moved to the step of the checkpoint, and the state
    of each weight is found by the weight's name, in whatever group it is now.
    """

    def __init__(self) -> None:
        self._optimizers: list[dict[str, Any]] = []
        self._names: list[list[str]] | None = None
        self._schedulers: list[dict[str, Any]] = []

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[NAMES] = [names(optimizer, pl_module) for optimizer in trainer.optimizers]

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._names = checkpoint.get(NAMES)  # those of version 0.1 are in the order of the state alone
        self._optimizers, checkpoint["optimizer_states"] = checkpoint["optimizer_states"], []
        self._schedulers, checkpoint["lr_schedulers"] = checkpoint["lr_schedulers"], []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._take_over(trainer, pl_module)  # also where no step is left, and a training never starts

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._take_over(trainer, pl_module)  # of a strategy that loads after it has set up

    def _take_over(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.ckpt_path or not self._optimizers:
            return
        for number, (optimizer, saved) in enumerate(zip(trainer.optimizers, self._optimizers, strict=True)):
            now = names(optimizer, pl_module)
            take_over(optimizer, saved["state"], now if self._names is None else self._names[number], now)
        for config, state in zip(trainer.lr_scheduler_configs, self._schedulers, strict=True):
            move_to(config.scheduler, state)
        self._optimizers, self._schedulers = [], []


def names(optimizer: torch.optim.Optimizer, module: torch.nn.Module) -> list[str]:
    """The name of each weight of an optimizer, group after group: the order in which its state is numbered."""
    known = {weight: name for name, weight in module.named_parameters()}
    return [known[weight] for group in optimizer.param_groups for weight in group["params"]]


def take_over(
    optimizer: torch.optim.Optimizer, state: Mapping[int, Any], then: Sequence[str], now: Sequence[str]
) -> None:
    """Give an optimizer the state that was saved under the names `then`; its own weights are called `now`."""
    places = {name: place for place, name in enumerate(then)}
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    known = {
        number: _spread(state[places[name]], weights[number])
        for number, name in enumerate(now)
        if places.get(name) in state
    }
    optimizer.load_state_dict({"state": known, "param_groups": optimizer.state_dict()["param_groups"]})


def _spread(state: Any, weight: torch.Tensor) -> Any:
    """What was gathered of one weight, in shards as that is, where it has its shape."""
    if not isinstance(state, Mapping):
        return state
    return {
        name: shards.as_spread(value, weight)
        if isinstance(value, torch.Tensor) and value.shape == weight.shape
        else value
        for name, value in state.items()
    }


def move_to(scheduler: Any, state: Mapping[str, Any]) -> None:
    """Move a schedule that stands at its beginning to where the saved one was, as if it had always been this one."""
    if isinstance(scheduler, ReduceLROnPlateau):  # follows from what was measured
        scheduler.load_state_dict(dict(state))
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected call of")  # its optimizer has stepped, before
        for _ in range(int(state["last_epoch"])):
            scheduler.step()
