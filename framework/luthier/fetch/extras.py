"""Packages that single parts need, and the extras that install them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from luthier.errors import RecipeError

Needs = Mapping[str, str]
"""The import name of a package, and the requirement with which pip installs it: `{"rensa": "luthier[cpt]"}`.

A part has it as its class attribute `needs`, as a literal: it is read from the source, and a recipe whose packages are
not installed is refused before anything is loaded.
"""


def is_installed(package: str) -> bool:
    """Whether a package is installed; nothing is imported."""
    if package in sys.modules:
        return sys.modules[package] is not None
    return find_spec(package) is not None


def refuse_absent(needs: Needs, who: str, *, where: str = "", otherwise: str = "") -> None:
    """RecipeError where a package that `who` needs is not installed; `otherwise` is an alternative to installing it."""
    if absent := [package for package in needs if not is_installed(package)]:
        noun, verb = ("package", "is") if len(absent) == 1 else ("packages", "are")
        named = " and ".join(filter(None, (", ".join(absent[:-1]), absent[-1])))
        raise RecipeError(
            f"{who} needs the {noun} {named}, which {verb} not installed.",
            where=where,
            hint=_installing([needs[package] for package in absent], otherwise),
        )


def imported(module: str, needed: str, who: str, *, where: str = "") -> Any:
    """A module of a package that `who` needs; RecipeError where it is not installed, or cannot be imported here."""
    package = module.partition(".")[0]
    refuse_absent({package: needed}, who, where=where)
    try:
        return import_module(module)
    except ImportError as error:
        message = f"{who} needs the package {package}, which cannot be imported: {error}."
        raise RecipeError(message, where=where, hint=_installing([needed], "")) from error


def _installing(needed: list[str], otherwise: str) -> str:
    wanted = " ".join(f"'{one}'" if "[" in one else one for one in dict.fromkeys(needed))
    return f"pip install {wanted}, or {otherwise}." if otherwise else f"pip install {wanted}"
