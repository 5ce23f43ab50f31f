"""Atomic building of a cache folder, once for all processes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from luthier.errors import ResourceError
from luthier.fetch import cache


class NotYetError(ResourceError):
    """A folder is not cached, and `read_only_cache` does not allow to build it."""


def build_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder`, filled by `make` if it does not exist yet.

    `make` is called with an empty folder beside it, whose files are flushed to disk before it is renamed to `folder`:
    a killed process leaves nothing under the final name. A second process waits for the first and uses its folder.
    Temporary folders of killed processes are removed. ResourceError where the disk cannot be written, NotYetError
    where the cache is read-only.
    """
    if folder.is_dir():
        return folder
    if cache.cache_is_read_only():
        raise NotYetError(f"{folder.name} is not in the cache yet.", where=str(folder))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".lock-{folder.name}"):
            if not folder.is_dir():
                _make(folder, make)
    except OSError as error:
        raise ResourceError(
            f"The cache folder {folder} cannot be written: {error.strerror or error}.",
            hint="Free some disk space, or point LUTHIER_CACHE to another disk.",
        ) from error
    return folder


def _make(folder: Path, make: Callable[[Path], None]) -> None:
    prefix = f".tmp-{folder.name}-"
    for leftover in folder.parent.glob(f"{prefix}*"):  # this process holds the lock, so their writers have died
        shutil.rmtree(leftover)
    temporary = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    try:
        make(temporary)
        for path in sorted(temporary.rglob("*"), reverse=True):
            _flush(path)
        _flush(temporary)
        temporary.rename(folder)
        _flush(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # Windows and some network file systems cannot flush folders, or files opened for reading
        pass
    finally:
        os.close(descriptor)
