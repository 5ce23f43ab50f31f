"""Weights & Biases, offline by default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from luthier.api import GuardedLogger

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from luthier.api import RunFolder


class WandbTracker:
    """Log to Weights & Biases: the redacted configuration, metrics, the resolved recipe, samples, the model if asked.

    mode: offline writes into `wandb/` of the run's folder, and `wandb sync` uploads it later; online uploads at once
    and falls back to offline when no server answers in time; disabled does nothing. log_model: upload the customised
    model as an artifact. deadline: the seconds within which W&B must start. A failure of W&B never stops a run.
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
        identity = {
            "project": self.project,
            "entity": self.entity,
            "group": self.group,
            "name": self.name or folder.path.name,
            "tags": self.tags,
        }

        def make() -> Logger:
            from luthier_tracking.wandb_run import WandbRun

            return WandbRun(folder, identity, mode=self.mode, deadline=self.deadline, log_model=self.log_model)

        return [GuardedLogger("wandb", make, deadline=3 * self.deadline)]
