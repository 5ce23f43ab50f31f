"""The one list of installed plugins, as the metadata of their distributions has it; nothing is imported."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata

CORE = "luthier"
"""The distribution, its package, and the group of its plugins' entry points."""
_TOP = re.compile(r"^(\w+)(?:/|\.py,|\.[^,/\n]*\.?(?:so|pyd),)", re.MULTILINE)
"""In a list of files, the packages and modules that stand at its top."""


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A line of a distribution's entry points in the group `luthier`: the plugin's name and what it names.

    `owner` is that distribution's name and version, both empty where nobody knows it.
    """

    name: str
    value: str
    distribution: metadata.Distribution | None
    owner: tuple[str, str]

    @property
    def module(self) -> str:
        """The module that it names, also where an attribute stands behind it."""
        return self.value.partition(":")[0]

    @property
    def package(self) -> str:
        """The top-level package of that module."""
        return self.module.partition(".")[0]


def installed() -> list[EntryPoint]:
    """The entry points of all plugins, by name; a distribution that is found twice on the path counts once."""
    found = metadata.entry_points(group=CORE)
    owners = {one: (one.name, one.version) if one else ("", "") for one in {entry.dist for entry in found}}
    listed = [EntryPoint(entry.name, entry.value, entry.dist, owners[entry.dist]) for entry in found]
    return sorted(listed, key=lambda one: (one.name, one.value))


@cache
def packages_of_plugins() -> frozenset[str]:
    """The top-level packages of the plugins that were installed when this was first asked."""
    return frozenset(one.package for one in installed())


def owner_of(package: str) -> metadata.Distribution | None:
    """The distribution that brings a top-level package: a plugin's by its entry point, any other by its files."""
    if package == CORE:
        return next(iter(metadata.distributions(name=CORE)), None)
    for one in _installed_on(tuple(sys.path)):
        if one.package == package and one.distribution is not None:
            return one.distribution
    return next(iter(_brought_on(tuple(sys.path)).get(package, ())), None)


def owners_of(package: str) -> list[str]:
    """The names of all distributions with files in a top-level package; several in a namespace such as `google`."""
    return [one.name for one in _brought_on(tuple(sys.path)).get(package, ())]


@cache
def _installed_on(path: tuple[str, ...]) -> list[EntryPoint]:
    return installed()


@cache
def _brought_on(path: tuple[str, ...]) -> Mapping[str, list[metadata.Distribution]]:
    """Top-level package -> its distributions, of all that are installed.

    Lists of files are searched as text: `packages_distributions` makes a path of each of a hundred thousand lines.
    """
    found: dict[str, list[metadata.Distribution]] = {}
    for distribution in metadata.distributions():
        names = (distribution.read_text("top_level.txt") or "").split()
        for name in names or set(_TOP.findall(distribution.read_text("RECORD") or "")):
            found.setdefault(name, []).append(distribution)
    return found
