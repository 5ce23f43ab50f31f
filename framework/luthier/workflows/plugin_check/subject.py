"""The distribution that is checked, with its plugins, its packages and its option files; and what was found of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from luthier.errors import RecipeError
from luthier.errors.suggestions import nearest
from luthier.plugins.installed import CORE
from luthier.plugins.source_code import spec

if TYPE_CHECKING:
    from luthier.config.catalog import Catalog, CatalogAnswer
    from luthier.plugins.registry import Plugin, Plugins


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says of one thing: `passed`, `failed`, or `skipped` where it could not look; a sentence."""

    check: str
    state: Literal["passed", "failed", "skipped"]
    message: str
    where: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where and self.where not in self.message else ""
        return f"{place}{self.message}{f' {self.hint}' if self.hint else ''}"


@dataclass(frozen=True)
class Subject:
    """An installed distribution among all plugins and answers of this process."""

    distribution: metadata.Distribution
    plugins: Plugins
    catalog: Catalog

    @classmethod
    def of(cls, name: str, plugins: Plugins, catalog: Catalog) -> Subject:
        """RecipeError where nothing of this name is installed."""
        try:
            return cls(metadata.distribution(name), plugins, catalog)
        except (metadata.PackageNotFoundError, ValueError) as error:
            known = {plugin.distribution for plugin in plugins.known if plugin.distribution}
            raise RecipeError(
                f"No distribution {name!r} is installed.", where="DIST", hint=nearest(name, known, "With plugins are")
            ) from error

    def __str__(self) -> str:
        return f"{self.distribution.name} {self.distribution.version}"

    @property
    def is_core(self) -> bool:
        """Whether it is luthier itself, which ships plugins as anybody does, and answers beside them."""
        return self.distribution.name == CORE

    @cached_property
    def entry_points(self) -> list[metadata.EntryPoint]:
        return [entry for entry in self.distribution.entry_points if entry.group == CORE]

    @cached_property
    def own(self) -> list[Plugin]:
        """Its plugins, broken ones too."""
        names = {entry.name for entry in self.entry_points}
        return [one for one in self.plugins.known if one.name in names and one.distribution == self.distribution.name]

    @cached_property
    def owners(self) -> set[str]:
        """Its plugins, as answers name their owner."""
        return {plugin.name for plugin in self.own} | ({CORE} if self.is_core else set())

    @cached_property
    def answers(self) -> list[CatalogAnswer]:
        """One for each of its option files."""
        return list({answer.file: answer for answer in self.catalog if answer.owner in self.owners}.values())

    @cached_property
    def folders(self) -> list[Path]:
        """Its recipe folders."""
        known = self.plugins.recipe_folders()
        return [folder for owner, (_, folder) in known.items() if owner in self.owners]

    @cached_property
    def is_editable(self) -> bool:
        """Whether it was installed as a link to its source (`pip install -e`), so that no wheel was unpacked."""
        told = self.distribution.read_text("direct_url.json")
        return bool(told and json.loads(told).get("dir_info", {}).get("editable"))

    @cached_property
    def packages(self) -> set[str]:
        """The top-level packages of its plugins, and those with code that its wheel has."""
        recorded = {file.parts[0] for file in self.distribution.files or () if file.suffix == ".py"}
        tops = {name.removesuffix(".py") for name in recorded if name.removesuffix(".py").isidentifier()}
        tops |= {entry.value.partition(":")[0].partition(".")[0] for entry in self.entry_points}
        return tops | ({CORE} if self.is_core else set())

    def holds(self, top: str) -> bool:
        """Whether a package lies beside its own in the source that it is a link to: a link lists no packages."""
        own = {folder for package in self.packages for folder in _folders_of(package)}
        return self.is_editable and bool(_folders_of(top) & own)

    def modules(self) -> Iterator[Path]:
        """The files of its code."""
        for top in sorted(self.packages):
            found = spec(top)
            inside = list(found.submodule_search_locations or ()) if found else []
            if found and found.origin and not inside:
                yield Path(found.origin)
            for place in inside:
                yield from sorted(Path(place).rglob("*.py"))


def _folders_of(top: str) -> set[Path]:
    """The folders in which a top-level module or package lies."""
    found = spec(top)
    if found is None:
        return set()
    places = found.submodule_search_locations or ([found.origin] if found.origin else [])
    return {Path(place).parent for place in places}
