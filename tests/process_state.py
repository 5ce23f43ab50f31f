"""What a test may change of its process, and how that is put back.

The command line sets up logging, environment and import path for a process that ends with it. Tests that call it in
their own process, and libraries that are first imported during a test, leave handlers behind which write to a stream
that pytest has closed: each later record is then a "--- Logging error ---" with "I/O operation on closed file" in the
output of another test.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
from _pytest.logging import LogCaptureHandler

LARGE = 2_000_000_000
"""Bytes of a process beyond which what a test has freed goes back: runs keep what they free for their next step."""


class CurrentStderr:
    """Writes to `sys.stderr` as it is at that moment; it is never closed."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return sys.stderr.fileno()

    def close(self) -> None:
        """It is pytest's."""


CURRENT_STDERR = CurrentStderr()


@dataclass(frozen=True)
class ProcessState:
    handlers: list[logging.Handler]
    level: int
    disabled: int
    environ: dict[str, str]
    path: list[str]
    folder: str
    excepthook: Callable[..., Any]

    @classmethod
    def now(cls) -> ProcessState:
        root = logging.getLogger()
        return cls(
            root.handlers[:], root.level, root.manager.disable, dict(os.environ), sys.path[:], os.getcwd(),
            sys.excepthook,
        )  # fmt: skip

    def restore(self) -> None:
        root = logging.getLogger()
        for handler in root.handlers:
            if isinstance(handler, logging.FileHandler) and handler not in self.handlers:
                handler.close()
        root.handlers[:] = self.handlers
        root.setLevel(self.level)
        logging.disable(self.disabled)
        for reference in logging._handlerList:  # those that no logger has yet included: absl keeps its own aside
            follow_stderr(reference())
        if dict(os.environ) != self.environ:
            for name in os.environ.keys() - self.environ.keys():
                del os.environ[name]
            os.environ.update(self.environ)
        sys.path[:] = self.path
        os.chdir(self.folder)
        sys.excepthook = self.excepthook
        give_memory_back()


def give_memory_back() -> None:
    """Several test processes share a machine, and each would keep the most that any of its tests ever needed."""
    if sys.platform == "linux" and psutil.Process().memory_info().rss > LARGE:
        getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: 0)(0)


def follow_stderr(handler: logging.Handler | None) -> None:
    """Let a library's handler write to the stderr of the test that runs, not of the one that imported the library.

    absl's would even close the stream that it began with, which is pytest's, when Hydra sets up logging anew.
    """
    has_own = (logging.FileHandler, LogCaptureHandler, logging._StderrHandler)
    if isinstance(handler, logging.StreamHandler) and not isinstance(handler, has_own) and handler.stream is not None:
        handler.stream = CURRENT_STDERR  # not setStream, which flushes the one that may be closed by now
