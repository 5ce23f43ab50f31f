"""The sha256 of a model's weight files, cached by file size and modification time."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from luthier.fetch import cache
from luthier.fetch.digests import sha256_of_file


def weights_digest(files: Iterable[Path]) -> str:
    """One sha256 over the names and hashes of the files; it does not depend on where they lie."""
    lines = sorted(f"{file.name} {remembered_digest(file)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def remembered_digest(file: Path) -> str:
    """The sha256 of a file, taken from the cache if path, size and time of change are those of the last time."""
    real = file.resolve()
    state = real.stat()
    stamp = [str(real), state.st_size, state.st_mtime_ns]
    note = cache.cache_folder("hashes") / f"{hashlib.sha256(str(real).encode()).hexdigest()}.json"
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["stamp"] == stamp:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # nothing remembered, or not by us: hash it
    found = sha256_of_file(real)
    if cache.cache_is_read_only():
        return found
    with tempfile.NamedTemporaryFile("w", dir=note.parent, delete=False, encoding="utf-8") as temporary:
        json.dump({"stamp": stamp, "sha256": found}, temporary)
    os.replace(temporary.name, note)
    return found
