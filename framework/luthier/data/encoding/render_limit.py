"""A limit for each rendering of a template: a loop that one word of the data begins ends, too."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from luthier.errors import DataError

SECONDS = 5.0
"""Of processor time that one rendering may take; a conversation of a million tokens takes a tenth of one."""
LOOK = 0.5


class RenderedTooLong(Exception):  # noqa: N818 - raised by another thread into the one that renders
    """A rendering was ended."""


@dataclass(slots=True)
class _Rendering:
    clock: int | None
    since: float
    ended: bool = False


_running: dict[int, _Rendering] = {}
_lock = threading.Lock()
_watcher: threading.Thread | None = None


@contextmanager
def limited_rendering(name: str, *, where: str = "") -> Iterator[None]:
    """DataError, at `where`, if what is rendered inside takes this thread more than 5 s of processor time.

    `name` is the subject of the sentence. What Python carries out step by step is ended, such as the loops of a
    template; one operation of a library is not.
    """
    thread = threading.get_ident()
    clock = time.pthread_getcpuclockid(thread) if hasattr(time, "pthread_getcpuclockid") else None
    rendering = _Rendering(clock, _now(clock))
    with _lock:
        _running[thread] = rendering
        _watch()
    try:
        yield
    except RenderedTooLong:
        raise DataError(
            f"{name} takes more than {SECONDS:g} s for this conversation.",
            where=where,
            hint="Change the record, or choose another template.",
        ) from None
    finally:
        with _lock:
            _running.pop(thread, None)
            if rendering.ended:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)


def _watch() -> None:
    """Have the thread that looks; it is not there in a process that was forked."""
    global _watcher
    if _watcher is None or not _watcher.is_alive():
        _watcher = threading.Thread(target=_look, daemon=True, name="luthier-renderings")
        _watcher.start()


def _look() -> None:
    while True:
        time.sleep(LOOK)
        with _lock:
            for thread, rendering in _running.items():
                if not rendering.ended and _now(rendering.clock) - rendering.since > SECONDS:
                    rendering.ended = True
                    error = ctypes.py_object(RenderedTooLong)
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), error)


def _now(clock: int | None) -> float:
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _begin_anew() -> None:
    """In a process that was forked while another thread held the lock."""
    global _lock, _watcher
    _lock, _watcher = threading.Lock(), None
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
