"""Hydra's own sweeper over listed values, which writes `multirun.yaml` without secrets."""

from __future__ import annotations

from typing import Any

from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from luthier.disk.redaction import redact

Plugins.instance()  # it executes the modules of Hydra's own plugins once more: only then are their classes those in use
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # noqa: E402


class ListedSweeper(BasicSweeper):
    """Carries out a job for each combination of the listed values."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        plain: Any = redact(OmegaConf.to_container(config))
        plain["hydra"]["sweep"]["dir"] = config.hydra.sweep.dir  # with the time of day that it was resolved at
        self.config = OmegaConf.create(plain)


def register() -> None:
    """Let it stand in for Hydra's own; may be called again."""
    target = f"{BasicSweeper.__module__}.{BasicSweeper.__qualname__}"
    Plugins.instance().class_name_to_class[target] = ListedSweeper
