"""The sha256 of files that were hashed before, without reading them again."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from luthier.fetch import cache
from luthier.fetch.digests import sha256_of_file

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
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["stamp"] == stamp:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass  # nothing remembered, or not by us: hash it
    begin = time.time_ns()
    found = sha256_of_file(real)
    settled = max(stamp[-2:]) < begin - _COARSEST_CLOCK and _stamp(real) == stamp
    if settled and not cache.cache_is_read_only():
        with tempfile.NamedTemporaryFile("w", dir=note.parent, delete=False, encoding="utf-8") as temporary:
            json.dump({"stamp": stamp, "sha256": found}, temporary)
        os.replace(temporary.name, note)
    return found


def _stamp(file: Path) -> list[Any]:
    """What is known of a file without reading it; the two times, in nanoseconds, are the last."""
    state = file.stat()
    return [str(file), state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]
