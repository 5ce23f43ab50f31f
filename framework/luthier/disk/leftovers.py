"""What killed processes were writing, found by its temporary name and removed once its writer is gone."""

from __future__ import annotations

import os
import re
import shutil
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


def sweep(folder: Path, *, deep: bool = True) -> Swept:
    """Remove what killed processes were writing in a folder; call it when this process writes nothing there.

    `deep` looks into the folders in it, too. The writer is dead where no process has its number, or one that began
    after the last write.
    """
    entries = size = 0
    for path in list(_left(folder, deep)):
        size += _size(path)
        entries += 1
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return Swept(entries, size)


def _left(folder: Path, deep: bool) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            if (match := TEMPORARY_NAME.fullmatch(name)) and _is_dead(int(match[1]), Path(place) / name):
                yield Path(place) / name
        folders[:] = [name for name in folders if deep and not TEMPORARY_NAME.fullmatch(name)]


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
