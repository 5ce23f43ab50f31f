"""Ranks that stand still by a signal: their processes live, so that nothing else shows it, and the others wait."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress

import psutil

STOP = -int(getattr(signal, "SIGSTOP", 19))
STOPPED = 20.0
"""Seconds that a rank may stand still by a signal."""


class StoppedRanks:
    """Watches the processes of other ranks on this machine, by rank; ask it every second or so."""

    def __init__(self, processes: Mapping[int, int]) -> None:
        self.processes = dict(processes)
        self._since: dict[int, float] = {}
        self._asked = time.monotonic()

    def longer_than(self, seconds: float) -> int | None:
        """A rank that has stood still for so many seconds; None where all move, or this process stood still itself."""
        now = time.monotonic()
        if now - self._asked > STOPPED / 2:  # this process was stopped, too, as by Ctrl-Z: all begin anew
            self._since.clear()
        self._asked = now
        for rank, process in self.processes.items():
            if not _is_stopped(process):
                self._since.pop(rank, None)
            elif now - self._since.setdefault(rank, now) > seconds:
                return rank
        return None

    def wake(self) -> None:
        """Let those that stand still go on, to find that the run has ended."""
        for process in self.processes.values():
            if _is_stopped(process):
                with suppress(OSError):
                    os.kill(process, signal.SIGCONT)


def _is_stopped(process: int) -> bool:
    try:
        return bool(psutil.Process(process).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False
