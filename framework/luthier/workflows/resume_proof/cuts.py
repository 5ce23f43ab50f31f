"""A plugin that counts the points which a training passes, and ends the process with a signal at one of them.

It is loaded with `-p` into the processes that a proof starts; `arm` says what it does there.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig

from luthier.disk.leftovers import TEMPORARY_NAME
from luthier.plugins.hookspecs import hookimpl

KILL = int(getattr(signal, "SIGKILL", signal.SIGTERM))


@dataclass(slots=True)
class Plan:
    """Write each point that is passed to `points`, and send `signal` at the one with the number `at`, from 0."""

    points: Path | None = None
    at: int | None = None
    signal: int = KILL


@dataclass(frozen=True, slots=True)
class Point:
    """A place in the course of a training: after which optimizer step, and what was under way."""

    step: int
    kind: str

    def __str__(self) -> str:
        return f"{f'after step {self.step}' if self.step else 'before step 1'}: {self.kind}"


_plan = Plan()


def arm(plan: Plan) -> None:
    """Say what this process does at its points, before its run starts."""
    global _plan
    _plan = plan


def read_points(file: Path) -> list[Point]:
    """The points that a training passed, in order."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [Point(int(step), kind) for step, kind in (line.split("\t") for line in lines)]


@hookimpl
def luthier_callbacks(config: DictConfig) -> Iterable[Any]:
    return [Cuts(_plan)]


class Cuts(pl.Callback):
    """Passes a point at each hook of a training, before each forward, and at each file of a checkpoint."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.passed, self.step = plan, 0, 0
        self.inside = ""
        self.file = plan.points.open("a", encoding="utf-8", buffering=1) if plan.points else None

    def at(self, kind: str) -> None:
        if self.file is not None:
            self.file.write(f"{self.step}\t{kind}\n")
        if self.passed == self.plan.at:
            os.kill(os.getpid(), self.plan.signal)
        self.passed += 1

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.step = trainer.global_step
        sys.addaudithook(self._of_system)
        getattr(pl_module, "network", pl_module).register_forward_pre_hook(self._forward)
        self.at("start")

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.inside = "training"
        self.at("start of a micro-batch")

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Any) -> None:
        self.at("before the backward pass")

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any) -> None:
        self.at("before the update")

    def on_before_zero_grad(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any) -> None:
        self.at("before gradients are cleared")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.inside, self.step = "", trainer.global_step
        self.at("end of a micro-batch")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.at("end of an epoch")

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self.inside = "validation"
        self.at("validation")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.inside = ""

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.inside = "finishing"
        self.at("end of the training")

    def _forward(self, *_: Any) -> None:
        if not self.inside:
            self.at("forward between steps (rollouts, scores)")

    def _of_system(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Files that are opened to be written under a temporary name, and what is renamed to its own."""
        if event == "os.rename" and (named := _unfinished(arguments[0])):
            self.at(f"naming {named}")
        elif event == "open" and _changes(arguments[1]) and (named := _unfinished(arguments[0])):
            self.at(f"writing {named}")


def _changes(mode: Any) -> bool:
    """Whether a file that is opened in this mode is written."""
    return "w" in str(mode) or "+" in str(mode)


def _unfinished(place: Any) -> str:
    """What lies under a temporary name; empty for any other place."""
    parts = Path(os.fsdecode(place)).parts[-2:] if isinstance(place, str | bytes | os.PathLike) else ()
    names = [name for name in parts if TEMPORARY_NAME.fullmatch(name)]
    if not names:
        return ""
    return "a checkpoint" if "-step-" in names[0] else "a file of the run"
