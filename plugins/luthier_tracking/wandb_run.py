"""One run in Weights & Biases; imported only when it is chosen."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wandb
import yaml
from pytorch_lightning.loggers import Logger

from luthier.api import redact

if TYPE_CHECKING:
    from luthier.api import RunFolder

log = logging.getLogger(__name__)


class WandbRun(Logger):
    """A Lightning logger that opens a W&B run, whose files are all below the folder of the luthier run.

    `identity` holds the arguments `project`, `entity`, `group`, `name` and `tags` of `wandb.init`; `deadline` is in
    seconds.
    """

    def __init__(
        self, folder: RunFolder, identity: Mapping[str, Any], *, mode: str, deadline: float, log_model: bool
    ) -> None:
        super().__init__()
        self.folder, self.deadline, self.uploads_model = folder, deadline, log_model
        self.identity = redact({"wandb": dict(identity)})["wandb"]
        self.identity["tags"] = list(dict.fromkeys(self.identity.get("tags") or ()))  # W&B takes none twice
        self.run = self._open(mode)
        if folder.resolved.exists():
            self.run.save(str(folder.resolved), base_path=str(folder.path), policy="now")

    @property
    def name(self) -> str:
        return str(self.identity["project"])

    @property
    def version(self) -> str:
        return str(self.run.id)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.run.log(dict(metrics) if step is None else {**metrics, "step": step})

    def log_hyperparams(self, params: Any, *more: Any, **named: Any) -> None:
        self.run.config.update(redact(dict(params)), allow_val_change=True)

    def log_samples(self, samples: Sequence[dict[str, Any]], step: int | None = None) -> None:
        columns = list(samples[0]) if samples else ["prompt", "answer"]
        table = wandb.Table(
            columns=list(columns), data=[[str(redact(row.get(key, ""))) for key in columns] for row in samples]
        )
        self.log_metrics({"samples": table}, step)  # type: ignore[dict-item]

    def log_artifact(self, folder: Path) -> None:
        if not self.uploads_model:
            return
        model = wandb.Artifact(f"{self.folder.path.name}-model", type="model")
        model.add_dir(str(folder), policy="immutable", skip_cache=True)
        self.run.log_artifact(model)

    def close(self) -> None:
        self.run.finish()

    def _open(self, mode: str) -> Any:
        if mode != "online":
            return self._init(mode)
        try:
            if not wandb.Api(timeout=int(self.deadline)).api_key:
                raise RuntimeError("no API key is known")
            return self._init(mode)
        except Exception as error:
            log.warning("W&B cannot be reached (%s); the run is kept offline, `wandb sync` sends it later.", error)
            return self._init("offline")

    def _init(self, mode: str) -> Any:
        os.environ.setdefault("WANDB_SILENT", "true")
        config = (
            yaml.safe_load(self.folder.resolved.read_text(encoding="utf-8")) if self.folder.resolved.exists() else {}
        )
        return wandb.init(
            mode=mode,  # type: ignore[arg-type]
            dir=str(self.folder.path),
            config=redact(config),
            **self.identity,
            settings=wandb.Settings(
                init_timeout=self.deadline,
                console="off",
                silent=True,
                disable_git=True,
                save_code=False,
                x_disable_meta=True,
            ),
        )
