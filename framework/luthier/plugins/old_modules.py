"""Imports of names of version 0.1: answered with what has the name now, and a warning that says the new line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from functools import cached_property, partial
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from luthier.plugins.renamed import UNTIL, table

if TYPE_CHECKING:
    from importlib.abc import Loader  # importing it takes a sixth of what `--help` takes


class OldModules:
    """Finds modules that are gone, and lets those that are still there answer for their old names, too.

    `api` is the module that has the names of those that are gone; it is imported where a plugin asks for one.
    """

    def __init__(self, api: str) -> None:
        self.api = api

    @cached_property
    def names(self) -> dict[str, dict[str, str]]:
        """The modules that had other names, with the dotted name of now for each."""
        found: dict[str, dict[str, str]] = {module: {} for module in table()["modules"]}
        names = {old: new if "." in new else f"{self.api}.{new}" for old, new in table()["names"].items()}
        for old, new in {**table()["targets"], **names, **dict.fromkeys(table()["gone"], "")}.items():
            module, _, name = old.rpartition(".")
            found.setdefault(module, {})[name] = new
        return found

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if fullname not in self.names:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is None:
            return ModuleSpec(fullname, cast("Loader", self), is_package=True)
        execute = spec.loader.exec_module if spec.loader is not None else self.exec_module

        def execute_with_old_names(module: ModuleType) -> None:
            execute(module)
            module.__dict__["__getattr__"] = partial(self._renamed, fullname)

        setattr(spec.loader, "exec_module", execute_with_old_names)  # noqa: B010 - the loader is this import's own
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__getattr__"] = partial(self._moved, module.__name__)

    def _renamed(self, old: str, name: str) -> Any:
        """An old name of a module that is still there."""
        if name not in self.names[old]:
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        return _answer(old, name, self.names[old][name])

    def _moved(self, old: str, name: str) -> Any:
        """A name of a module that is gone; the API has it, where nothing else is said."""
        if name == "__all__":
            raise ImportError(f"{old} is gone: import each name that you use from {self.api}.")
        if name.startswith("__") or f"{old}.{name}" in self.names:
            raise AttributeError(name)
        return _answer(old, name, self.names[old].get(name, f"{self.api}.{name}"))


def _answer(old: str, name: str, new: str) -> Any:
    if reason := table()["gone"].get(f"{old}.{name}"):
        raise ImportError(f"{old}.{name} of version 0.1 is gone: {reason}.")
    place, _, called = new.rpartition(".")
    try:
        value = getattr(import_module(place), called)
    except AttributeError:
        raise ImportError(f"{old} is gone, and {place}, which has its names, has no {name!r}.") from None
    warnings.warn(
        f"{old}.{name} goes away in {UNTIL}: write `from {place} import {called}`.", FutureWarning, stacklevel=3
    )
    return value


def install(api: str) -> None:
    """Answer imports of old names in this process."""
    if not any(isinstance(finder, OldModules) for finder in sys.meta_path):
        sys.meta_path.insert(0, OldModules(api))
