"""The sha256 of files that were hashed before, without reading them again."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from luthier.fetch import cache
from luthier.fetch.digests import sha256_of_file
from luthier.fetch.notes import read_note, write_note

_COARSEST_CLOCK = 2 * 10**9  # nanoseconds: the time stamps of FAT, the coarsest file system in use


def remembered_digest(file: Path) -> str:
    """The sha256 of a file, taken from the cache where nothing about the file has changed since it was hashed.

    That is its path, device and inode, its size, and the times of the last change of its content and of its inode; the
    latter cannot be set back. A file that changed within two seconds before it was hashed is not remembered, as another
    change may have the same time.
    """
    real = file.resolve()
    note = cache.cache_folder("hashes") / f"{hashlib.sha256(str(real).encode()).hexdigest()}.json"
    stamp = _stamp(real)
    known = read_note(note)
    if known.get("stamp") == stamp:
        return str(known["sha256"])
    begin = time.time_ns()
    found = sha256_of_file(real)
    settled = max(stamp[-2:]) < begin - _COARSEST_CLOCK and _stamp(real) == stamp
    if settled and not cache.cache_is_read_only():
        write_note(note, {"stamp": stamp, "sha256": found})
    return found


def _stamp(file: Path) -> list[Any]:
    """What is known of a file without reading it; the two times, in nanoseconds, are the last."""
    state = file.stat()
    return [str(file), state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]
