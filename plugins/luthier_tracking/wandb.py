"""Weights & Biases, offline first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from luthier.api import GuardedLogger

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from luthier.api import RunFolder


class Wandb:
    """Tell Weights & Biases: configuration without secrets, metrics, the resolved recipe, samples, the model if asked.

    mode: offline writes into `wandb/` of the run's folder and `wandb sync` sends it later; online sends at once and
    falls back to offline when no server answers in time; disabled does nothing. log_model: keep the customised model
    as an artifact. It never stops a run.
    """

    def __init__(
        self,
        *,
        mode: Literal["offline", "online", "disabled"] = "offline",
        project: str = "luthier",
        entity: str | None = None,
        name: str | None = None,
        group: str | None = None,
        tags: list[str] = [],  # noqa: B006 - a recipe's default, never changed
        log_model: bool = False,
        deadline: float = 10.0,
    ) -> None:
        self.mode, self.project, self.entity, self.group = mode, project, entity, group
        self.name, self.tags, self.log_model, self.deadline = name, list(tags), log_model, deadline

    def __call__(self, folder: RunFolder) -> list[Logger]:
        def make() -> Logger:
            from luthier_tracking.wandb_run import WandbRun

            return WandbRun(folder, self)

        return [GuardedLogger("wandb", make, deadline=3 * self.deadline)]
