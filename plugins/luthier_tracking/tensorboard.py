"""Metrics as TensorBoard's event files."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from luthier.api import GuardedLogger, Needs

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from luthier.api import RunFolder


class TensorBoardTracker:
    """Write event files into `tensorboard/` of the run's folder; view them with `tensorboard --logdir runs`.

    `flush_seconds` is the time between writes.
    """

    needs: ClassVar[Needs] = {"tensorboard": "luthier[tensorboard]"}

    def __init__(self, *, flush_seconds: int = 30) -> None:
        self.flush_seconds = flush_seconds

    def __call__(self, folder: RunFolder) -> list[Logger]:
        def make() -> Logger:
            from pytorch_lightning.loggers import TensorBoardLogger

            return TensorBoardLogger(
                folder.path, name="tensorboard", version="", default_hp_metric=False, flush_secs=self.flush_seconds
            )

        return [GuardedLogger("tensorboard", make)]
