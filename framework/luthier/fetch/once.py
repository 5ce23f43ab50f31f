"""Atomic building of a cache folder, once for all processes, and sealed: a folder that was changed is built again."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from luthier.errors import ResourceError
from luthier.fetch import cache
from luthier.fetch.digests import sha256_of_file
from luthier.fetch.remembered import remembered_digest

log = logging.getLogger("luthier")


class NotYetError(ResourceError):
    """A folder is not cached, and `read_only_cache` does not allow to build it."""


def build_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder`, filled by `make` if it does not exist yet or does not hold what was written (`is_intact`).

    `make` is called with an empty folder beside it, whose files are flushed to disk before it is renamed to `folder`:
    a killed process leaves nothing under the final name. A second process waits for the first and uses its folder.
    Temporary folders of killed processes are removed; a damaged folder is replaced with a warning. ResourceError where
    the disk cannot be written, NotYetError where the cache is read-only.
    """
    if folder.is_dir() and is_intact(folder):
        return folder
    if cache.cache_is_read_only():
        raise NotYetError(f"{folder.name} is not in the cache yet.", where=str(folder))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".lock-{folder.name}"):
            if folder.is_dir() and not is_intact(folder):
                log.warning("The cached folder %s is not as it was written, and is made again.", folder)
                shutil.rmtree(folder)
            if not folder.is_dir():
                _make(folder, make)
    except OSError as error:
        raise ResourceError(
            f"The cache folder {folder} cannot be written: {error.strerror or error}.",
            hint="Free some disk space, or point LUTHIER_CACHE to another disk.",
        ) from error
    return folder


def is_intact(folder: Path) -> bool:
    """Whether a folder that `build_once` made holds the files that were written, each with its sha256.

    A file is read where something about it has changed since it was read last (`remembered_digest`).
    """
    try:
        written = json.loads(_seal(folder).read_text(encoding="utf-8"))
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        return found.keys() == written.keys() and all(
            remembered_digest(path) == written[name] for name, path in found.items()
        )
    except (OSError, ValueError, AttributeError, RecursionError):  # no seal, or none of ours
        return False


def _seal(folder: Path) -> Path:
    return folder.parent / f".sealed-{folder.name}.json"


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
        _write_seal(temporary, _seal(folder))
        temporary.rename(folder)
        _flush(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_seal(folder: Path, seal: Path) -> None:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    sums = {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in files}
    seal.write_text(json.dumps(sums), encoding="utf-8")
    _flush(seal)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # Windows and some network file systems cannot flush folders, or files opened for reading
        pass
    finally:
        os.close(descriptor)
