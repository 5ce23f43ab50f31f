"""Settings of an earlier run that were not written down, as they looked like secrets: where they are taken from now."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from luthier.config.stored import escaped
from luthier.disk.redaction import REDACTED
from luthier.errors import RecipeError


def given_back(recipe: DictConfig, parts: Collection[str], where: Path) -> DictConfig:
    """The recipe with what its writer withheld in these parts, from the environment; RecipeError where it is not there.

    `model.url` is taken from LUTHIER_WITHHELD_MODEL_URL. What nobody asks for stays withheld.
    """
    plain: Any = OmegaConf.to_container(recipe, resolve=True)
    missing = [path for path in _withheld(plain) if path[0] in parts]
    if not missing:
        return recipe
    for path in missing:
        setting, variable = ".".join(map(str, path)), _variable(path)
        if variable not in os.environ:
            raise RecipeError(
                f"{setting} looked like a secret, so that the run did not write it down, and it is needed.",
                where=str(where),
                hint=f"Put its value into the environment variable {variable}.",
            )
        node = plain
        for name in path[:-1]:
            node = node[name]
        node[path[-1]] = os.environ[variable]
    return DictConfig(escaped(plain))


def _withheld(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, dict | list):
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _withheld(value, (*at, name))
    elif isinstance(node, str) and REDACTED in node:
        yield at


def _variable(path: tuple[Any, ...]) -> str:
    return "LUTHIER_WITHHELD_" + re.sub(r"[^A-Z0-9]+", "_", "_".join(map(str, path)).upper())
