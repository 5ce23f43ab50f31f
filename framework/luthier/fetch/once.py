"""Make a folder once, whole or not at all, however many processes ask for it."""

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
    """Something would have to be fetched or made, which `cache.read_only` does not allow."""


def build_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder`, filled by `make` if it is not there yet.

    `make` is given an empty folder beside it; what it wrote is flushed to the disk and then renamed into place, so
    that a killed process leaves nothing under the final name. A second process waits for the first and finds its
    work done. Remains of killed processes are swept. ResourceError where the disk refuses.
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
    for remains in folder.parent.glob(f"{prefix}*"):  # the lock is ours: whoever wrote these is dead
        shutil.rmtree(remains)
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
    except OSError:  # Windows and some network disks flush no folder, and no file opened for reading
        pass
    finally:
        os.close(descriptor)
