"""The sha256 of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

_READ = 1 << 20  # bytes read at a time


def sha256_of_file(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal; read in pieces, so that a large file needs little memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ):
            digest.update(block)
    return digest.hexdigest()
