"""rollouts.jsonl: sampled answers with their rewards and advantages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from luthier.api import MetricsLog

FILE = "rollouts.jsonl"


@runtime_checkable
class SampleLogger(Protocol):
    """A logger of a tracker that shows tables of sampled answers."""

    def log_samples(self, samples: Sequence[dict[str, Any]], step: int | None = None) -> None: ...


class RolloutLog:
    """Rows of sampled answers in the folder of a run; a resumed run first removes the rows of steps it repeats."""

    def __init__(self) -> None:
        self._log: MetricsLog | None = None

    def open(self, folder: str | Path, step: int) -> None:
        """Open the file of a run, and remove the rows after `step`."""
        self._log = MetricsLog(Path(folder) / FILE)
        self._log.start_after(step)

    def write(self, rows: list[dict[str, Any]]) -> None:
        assert self._log is not None, "open comes first"
        for row in rows:
            self._log.write(row)

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
