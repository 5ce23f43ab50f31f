from __future__ import annotations

from typing import TYPE_CHECKING

from ._pages import line

if TYPE_CHECKING:
    from luthier.api import RunFolder


class Diary:
    """Write a line a step into a text file of the run's folder."""

    def __init__(self, *, file: str = "diary.txt") -> None:
        self.file = file

    def __call__(self, folder: RunFolder) -> list:
        from pytorch_lightning.loggers.logger import Logger

        place = folder.path / self.file

        class Writer(Logger):
            @property
            def name(self):
                return "diary"

            @property
            def version(self):
                return ""

            def log_metrics(self, metrics, step=None):
                with place.open("a", encoding="utf-8") as file:
                    file.write(line(metrics, step))

            def log_hyperparams(self, *args, **kwargs):
                pass

        return [Writer()]
