"""Signals of a run: SIGTERM and SIGINT save and end it, SIGUSR1 saves and continues."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from luthier.errors.interrupted import Interrupted

SAVE = getattr(signal, "SIGUSR1", None)


class Signals:
    """Remembers signals while inside a `with`, until a step is over and all of them can be answered.

    `stop` holds the first that asks to end, `save` says that SIGUSR1 came. Outside of training, and while training
    only waits for data (`waiting`), the first one ends the run where it is; a second one ends the process at once.
    SIGHUP stays as it was found, ignored under nohup.
    """

    def __init__(self) -> None:
        self.stop: int | None = None
        self.save = False
        self.training = False
        self.waiting = False
        self.before_exit: list[Callable[[], None]] = []
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.getsignal(number) for number in self._numbers()}
            self.install()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._former = {}

    def install(self) -> None:
        """Answer the signals, whoever answered them before; does nothing outside of the `with`."""
        for number in self._former:
            signal.signal(number, self._arrived)

    @contextmanager
    def answered_at_once(self, alone: bool) -> Iterator[None]:
        """A signal to end ends what is done inside, unless other ranks wait for it."""
        if alone and self.stop is not None:
            raise Interrupted(self.stop)
        self.waiting = alone
        try:
            yield
        finally:
            self.waiting = False

    @staticmethod
    def _numbers() -> list[int]:
        return [number for number in (signal.SIGTERM, signal.SIGINT, SAVE) if number is not None]

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if number == SAVE:
            self.save = True
            return
        if self.stop is not None:
            self._exit_at_once(number)
        self.stop = number
        if not self.training or self.waiting:
            raise Interrupted(number)

    def _exit_at_once(self, number: int) -> None:
        for act in self.before_exit:
            act()
        os._exit(128 + number)
