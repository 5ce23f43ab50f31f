"""Paths of this machine as people write them."""

from __future__ import annotations

import os
from pathlib import Path


def local_path(written: str | Path) -> Path:
    """A path as people write it: `~` and `~name` at its beginning are homes, unless nobody of that name has one."""
    return Path(os.path.expanduser(written))  # Path.expanduser raises RuntimeError for unknown names
