"""One process owns a run's folder."""

from __future__ import annotations

import errno
import importlib
import json
import logging
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from luthier.errors import RecipeError
from luthier.records.ranks import is_first_rank

fcntl: Any = importlib.import_module("fcntl") if os.name == "posix" else None

log = logging.getLogger(__name__)
_held: set[Path] = set()


class RunLock:
    """Holds a lock file while inside a `with`: the system's own lock, and pid and host for people to read.

    The system lets go when the process ends, however it ends. Where a file system has no locks, pid and host decide:
    a lock is stale when no such process runs on this host. Ranks other than the first share the lock of the first.
    """

    def __init__(self, file: Path) -> None:
        self.file = file.resolve()
        self._handle = -1
        self._of_another_rank = not is_first_rank()

    def __enter__(self) -> RunLock:
        if self._of_another_rank:
            return self
        if self.file in _held:
            raise self._taken(_me())
        self._handle = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o644)
        owner = self._owner()
        free = _lock(self._handle)
        if free is None:
            free = not owner or (owner.get("host") == socket.gethostname() and not _runs(owner))
        if not free:
            os.close(self._handle)
            raise self._taken(owner)
        if owner:
            log.warning("The lock of process %s on %s is stale and taken over.", owner.get("pid"), owner.get("host"))
        self._write(json.dumps(_me()))
        _held.add(self.file)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._of_another_rank:
            return
        self._write("")
        os.close(self._handle)
        _held.discard(self.file)

    @classmethod
    def owner_of(cls, file: Path) -> dict[str, Any] | None:
        """Pid and host of the living process that holds a lock file now; None where no process does."""
        if not file.is_file():
            return None
        lock = cls(file)
        lock._handle = os.open(file, os.O_RDWR)
        try:
            owner, free = lock._owner(), _lock(lock._handle)
            return owner if free is False or (free is None and owner and _runs(owner)) else None
        finally:
            os.close(lock._handle)

    def _owner(self) -> dict[str, Any]:
        try:
            owner = json.loads(os.pread(self._handle, 4096, 0) or b"{}")
        except (ValueError, RecursionError):
            return {}
        return owner if isinstance(owner, dict) else {}

    def _write(self, text: str) -> None:
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, text.encode(), 0)
        os.fsync(self._handle)

    def _taken(self, owner: dict[str, Any]) -> RecipeError:
        return RecipeError(
            f"The folder is in use by process {owner.get('pid', '?')} on {owner.get('host', '?')}.",
            where=str(self.file.parent),
            hint="Wait for it or stop it; or choose another folder with hydra.run.dir=…. Where no such process runs, "
            f"remove {self.file.name}.",
        )


def _lock(handle: int) -> bool | None:
    """Whether the system gave the lock; None where it has none to give."""
    if fcntl is None:
        return None
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES) else None
    return True


def _me() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "started": psutil.Process().create_time(),
        "locked": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _runs(owner: dict[str, Any]) -> bool:
    """Whether the very process runs: the same id is not enough, ids come around."""
    try:
        return bool(abs(psutil.Process(int(owner["pid"])).create_time() - float(owner["started"])) < 2)
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False
