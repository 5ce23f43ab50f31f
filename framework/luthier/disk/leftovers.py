"""What killed processes were writing, found by its temporary name and removed once its writer is gone."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

TEMPORARY_NAME = re.compile(r"\.tmp-(\d+)-.*")


@dataclass(frozen=True, slots=True)
class Swept:
    """What dead processes left behind and `sweep` removed."""

    entries: int
    bytes: int


SHARED = 3600.0
"""The seconds after which what lies in a folder that nobody has locked is no other host's work any more."""


def sweep(folder: Path, *, locked: bool = True) -> Swept:
    """Remove what killed processes were writing in a folder; call it when this process writes nothing there.

    The writer is dead where no process has its number, or one that began after the last write. In a folder that is not
    `locked` a process of another host may be writing: there only what is an hour old goes, and no folder in it is
    looked into.
    """
    entries = size = 0
    for path in list(_left(folder, locked)):
        size += _size(path)
        entries += 1
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return Swept(entries, size)


def _left(folder: Path, locked: bool) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            match, path = TEMPORARY_NAME.fullmatch(name), Path(place) / name
            if match and _is_dead(int(match[1]), path) and (locked or _last_write(path) < time.time() - SHARED):
                yield path
        folders[:] = [name for name in folders if locked and not TEMPORARY_NAME.fullmatch(name)]


def _is_dead(writer: int, path: Path) -> bool:
    if writer == os.getpid():
        return True
    try:
        return bool(psutil.Process(writer).create_time() > _last_write(path) + 1)
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, OSError):
        return False


def _last_write(path: Path) -> float:
    return float(max(place.lstat().st_mtime for place in (path, *(path.rglob("*") if path.is_dir() else ()))))


def _size(path: Path) -> int:
    return sum(place.lstat().st_size for place in (path, *path.rglob("*")) if place.is_file())
