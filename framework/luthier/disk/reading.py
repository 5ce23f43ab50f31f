"""Small files read back: what is not there and what is not whole are the same case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a file; empty where the file is not there, cut short, no JSON, no mapping, or a pipe."""
    try:
        found = json.loads(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
