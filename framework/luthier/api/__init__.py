"""All that a plugin may import of luthier, besides `luthier.testing`: contracts, ready-made bases, and functions.

Each name is imported when it is first used, so that the module of a plugin's hooks stays light. `__init__.pyi` lists
them, for type checkers and for this module. `VERSION` is (major, minor): names are added with the minor number, and
removed or changed with the major one, after a release in which the old name gives a warning.
"""

from __future__ import annotations

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

VERSION = (2, 7)
"""(major, minor): names are added with the minor number, changed or removed with the major one."""


@cache
def homes() -> dict[str, str]:
    """The module that defines each name."""
    listed = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in listed.body if isinstance(node, ast.ImportFrom) and node.module]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def target_name(name: str) -> str:
    """The dotted name that option files write as `_target_` for a class of the API; imports nothing."""
    return f"{homes()[name]}.{name}"


def __getattr__(name: str) -> Any:
    if name not in homes():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(homes()[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted(homes())
