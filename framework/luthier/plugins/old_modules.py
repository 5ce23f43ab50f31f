"""Imports from modules of version 0.1: answered from `luthier.api`, with a warning that says the new line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from luthier.plugins.renamed import UNTIL, table

API = "luthier" + ".api"  # above this room: it is imported only where a plugin asks an old module for a name


class OldModules(MetaPathFinder, Loader):
    """Finds modules that are gone; it stands last, so that it is asked only for what is not there."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        return ModuleSpec(fullname, self, is_package=True) if _is_old(fullname) else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__

        def attribute(name: str) -> Any:
            if name.startswith("__") or _is_old(f"{old}.{name}"):
                raise AttributeError(name)
            new = table()["names"].get(f"{old}.{name}", name)
            value = getattr(import_module(API), new)
            line = f"from luthier.api import {new}"
            warnings.warn(f"{old}.{name} goes away in {UNTIL}: write `{line}`.", FutureWarning, stacklevel=2)
            return value

        module.__dict__["__getattr__"] = attribute


def _is_old(name: str) -> bool:
    return name.startswith("luthier.") and name in table()["modules"]


def install() -> None:
    """Answer imports from old modules in this process."""
    if not any(isinstance(finder, OldModules) for finder in sys.meta_path):
        sys.meta_path.append(OldModules())
