"""Files and folders that are whole or not there: written beside their place, flushed to the disk, then renamed.

A temporary name says which process writes: `.tmp-PID-name`. What a killed process leaves is found by it, see
`luthier.disk.leftovers`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from luthier.disk.redaction import redact, redact_text


def write_text(path: Path, text: str) -> None:
    """Replace a file by this text in one step, secrets redacted; no reader sees half of it, nor does a power cut."""
    with replacing(path) as temporary:
        temporary.write_text(redact_text(text), encoding="utf-8", newline="")


def write_json(path: Path, value: Any, *, indent: int | None = 1, sort_keys: bool = False) -> None:
    """Replace a file by this value as JSON, secrets redacted by key and by form."""
    text = json.dumps(redact(value), indent=indent, sort_keys=sort_keys, ensure_ascii=False, default=str)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8", newline="")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place to write a file to, which then replaces the one at `path`; after an error that one stays as it was."""
    temporary = temporary_name(path)
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill, which then replaces the one at `path`; after an error that one stays as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        settle(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def settle(temporary: Path, path: Path) -> None:
    """Flush all of a folder to the disk and give it its name; what had the name is put aside, then removed."""
    flush_all(temporary)
    if path.exists():
        put_away(path, lambda: temporary.rename(path))
    else:
        temporary.rename(path)
    flush_folder(path.parent)


def put_away(path: Path, then: Callable[[], Any] = lambda: None) -> None:
    """Remove a folder in one step, doing something as soon as its name is free; what a kill leaves has no name."""
    aside = temporary_name(path, "-removed")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
    try:
        then()
    except BaseException:
        aside.rename(path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def temporary_name(path: Path, end: str = "") -> Path:
    """Beside `path`, by this process."""
    return path.with_name(f".tmp-{os.getpid()}-{path.name}{end}")


def flush_all(folder: Path) -> None:
    """Have every file of a folder, and the folders, on the disk."""
    for place in folder.rglob("*"):
        if place.is_file():
            flush(place)
        elif place.is_dir():
            flush_folder(place)
    flush_folder(folder)


def flush(path: Path) -> None:
    """Have a file on the disk."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def flush_folder(path: Path) -> None:
    """Have the names in a folder on the disk, where the system knows how."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
