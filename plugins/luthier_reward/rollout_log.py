"""rollouts.jsonl: what the model wrote while it learnt, with the scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from luthier.api import MetricsLog

FILE = "rollouts.jsonl"


class SampleFile:
    """Rows of samples in the run's folder; a run that goes on first cuts what it will write again."""

    def __init__(self) -> None:
        self._log: MetricsLog | None = None

    def open(self, folder: str | Path, step: int) -> None:
        self._log = MetricsLog(Path(folder) / FILE)
        self._log.start_after(step)

    def write(self, rows: list[dict[str, Any]]) -> None:
        assert self._log is not None, "open comes first"
        for row in rows:
            self._log.write(row)

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
