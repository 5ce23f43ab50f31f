"""Several trackers at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from luthier.api import RunFolder, Tracker


class SeveralTrackers:
    """Log to CSV files, TensorBoard and Weights & Biases; each is a nested question and can be answered with `none`."""

    def __init__(self, csv: Tracker, tensorboard: Tracker, wandb: Tracker) -> None:
        self.trackers = [csv, tensorboard, wandb]

    def __call__(self, folder: RunFolder) -> list[Logger]:
        return [logger for tracker in self.trackers for logger in tracker(folder)]
