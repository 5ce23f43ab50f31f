"""Hooks only; nothing here imports torch or the harness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """The harness asks the model of one process."""
    strategy = str(config.trainer.strategy.get("_target_", "")) if config.trainer.get("strategy") else ""
    asks = config.evaluation.task.get("_target_") == "luthier_harness.task.HarnessTask"
    if asks and strategy and not strategy.endswith(".Single"):
        yield (
            "evaluation/task=harness asks a model in one process, and this trainer has several: leave it out of the "
            "run, and measure the finished run with luthier evaluate RUN evaluation/task=harness."
        )
