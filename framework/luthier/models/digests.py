"""One sha256 for the weight files of a model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from luthier.fetch.remembered import remembered_digest


def weights_digest(files: Iterable[Path]) -> str:
    """One sha256 over the names and hashes of the files; it does not depend on where they lie."""
    lines = sorted(f"{file.name} {remembered_digest(file)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
