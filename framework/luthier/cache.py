"""Where luthier keeps what it can make or fetch again: `LUTHIER_CACHE`, else ~/.cache/luthier."""

from __future__ import annotations

import os
from pathlib import Path


def folder(kind: str) -> Path:
    """The cache folder of one kind of thing (`packages`, `models`, `tokens`, …), made if need be."""
    root = Path(os.environ.get("LUTHIER_CACHE") or Path.home() / ".cache" / "luthier")
    place = root.expanduser().absolute() / kind
    place.mkdir(parents=True, exist_ok=True)
    return place
