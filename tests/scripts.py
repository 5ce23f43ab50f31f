"""The scripts below docs/generate as modules, for the tests of what they write."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[1] / "docs" / "generate"


def script(name: str) -> ModuleType:
    """The module of docs/generate/NAME.py; it may import the others there."""
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return importlib.import_module(name)
