"""Packages of the extras, and a Python that does not have some packages that are installed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NOT_FOR_USERS = {"all", "docs", "dev"}
KEPT = {"litellm", "scipy", "botocore"}
"""Other packages bring them: litellm is named for the versions that it must not have, and torchmetrics and boto3 import
the others where their metadata says that they are installed."""


def distributions(requirements: Iterable[str]) -> set[str]:
    """The names that requirements begin with, as PyPI spells them."""
    return {re.match(r"[\w.-]+", each)[0].lower().replace("_", "-") for each in requirements}


def extras() -> Mapping[str, set[str]]:
    """Each extra for users, and the distributions that it names."""
    declared = PROJECT["optional-dependencies"]
    return {name: distributions(declared[name]) for name in declared if name not in NOT_FOR_USERS}


def modules_of(distribution: str) -> set[str]:
    """The names that a distribution is imported by; empty where it is not installed."""
    return {module for module, owners in _installed() if distribution in owners}


@cache
def _installed() -> list[tuple[str, set[str]]]:
    found = packages_distributions().items()
    return [(module, distributions(owners)) for module, owners in found if module.isidentifier()]


@cache
def of_extras() -> set[str]:
    """The names by which all packages of the extras are imported."""
    every = set.union(*extras().values()) - KEPT
    return set.union(*map(modules_of, every))


def hide(packages: Iterable[str], folder: Path) -> None:
    """Write what Python reads when it starts: with `folder` on its path it does not find the packages."""
    lines = [f"sys.modules[{package!r}] = None\n" for package in sorted(packages)]
    (folder / "sitecustomize.py").write_text("import sys\n\n" + "".join(lines), encoding="utf-8")
