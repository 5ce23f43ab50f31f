"""Hydra's own sweeper over listed values, which writes `multirun.yaml` without secrets."""

from __future__ import annotations

from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from luthier.disk.redaction import redact
from luthier.errors import RecipeError

Plugins.instance()  # it executes the modules of Hydra's own plugins once more: only then are their classes those in use
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # noqa: E402

SEARCH = (
    "direction", "objectives", "constraints", "n_trials", "n_jobs", "sampler", "pruner", "timeout", "seed",
    "conditional",
)  # fmt: skip
"""The settings of `hydra/sweeper=optuna` that a listing has not."""


class ListedSweeper(BasicSweeper):
    """Carries out a job for each combination of the listed values.

    A recipe may set what a search needs (`SEARCH`): one run of it, such as a job, is composed with them; a listing
    refuses them.
    """

    def __init__(self, max_batch_size: int | None, params: dict[str, str] | None = None, **search: Any) -> None:
        super().__init__(max_batch_size=max_batch_size, params=params)
        if given := [name for name, value in search.items() if value is not None]:
            message = f"hydra.sweeper.{given[0]} is a setting of a search."
            raise RecipeError(message, where=f"hydra.sweeper.{given[0]}", hint="Say hydra/sweeper=optuna.")

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        plain: Any = redact(OmegaConf.to_container(config))
        plain["hydra"]["sweep"]["dir"] = config.hydra.sweep.dir  # with the time of day that it was resolved at
        self.config = OmegaConf.create(plain)


def register() -> None:
    """Let it stand in for Hydra's own; may be called again."""
    target = f"{BasicSweeper.__module__}.{BasicSweeper.__qualname__}"
    Plugins.instance().class_name_to_class[target] = ListedSweeper
    node = {"_target_": target, "max_batch_size": None, "params": None, **dict.fromkeys(SEARCH)}
    ConfigStore.instance().store(group="hydra/sweeper", name="basic", node=node, provider="luthier")
