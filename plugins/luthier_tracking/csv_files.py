"""Metrics as CSV files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luthier.api import GuardedLogger

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from luthier.api import RunFolder


class CsvTracker:
    """Write metrics.csv into `csv/version_N` of the run's folder, a new version each time that the run is continued.

    `flush_every` is the number of steps between writes.
    """

    def __init__(self, *, flush_every: int = 10) -> None:
        self.flush_every = flush_every

    def __call__(self, folder: RunFolder) -> list[Logger]:
        def make() -> Logger:
            from pytorch_lightning.loggers import CSVLogger

            return CSVLogger(folder.path, name="csv", flush_logs_every_n_steps=self.flush_every)

        return [GuardedLogger("csv", make)]
