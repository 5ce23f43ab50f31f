"""The settings of a job as a recipe file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import yaml

from luthier.config import command_line
from luthier.errors import RecipeError

if TYPE_CHECKING:
    from luthier.config.catalog import Catalog

NOT_OF_A_RECIPE = {"name", "resume"}
OVER_RECIPES = "debug"


def recipe_of(overrides: Sequence[str], name: str, purpose: str, catalog: Catalog) -> str:
    """A recipe file that says what these overrides of a command line say.

    Raises RecipeError for an override that a recipe has no form for: one that adds or removes, and a debug preset,
    which wins over recipes.
    """
    questions = set(catalog.questions())
    bases: list[Any] = []
    answers: list[Any] = []
    settings: dict[str, Any] = {}
    for word in command_line.read(overrides, catalog):
        if word.key in NOT_OF_A_RECIPE or word.key.split("/")[0].split(".")[0] == "hydra":
            continue
        if word.text[:1] in command_line.SIGNS or word.key == OVER_RECIPES:
            hint = "Without --recipe the command is shown that runs the trial again."
            raise RecipeError(f"{word.text} cannot be said in a recipe.", where=word.text, hint=hint)
        value = word.override.value()
        if word.key == "recipe":
            bases.append(value)
        elif word.key in questions:
            package = f"@{word.package}" if word.package else ""
            answers.append({f"override /{word.key}{package}": value})
        else:
            node = settings
            *parents, last = word.path.split(".")
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = value
    head = f"# @package _global_\n# {purpose}   luthier recipe={name}\n"
    defaults = yaml.safe_dump({"defaults": [*bases, *answers, "_self_"]}, sort_keys=False)
    return head + defaults + (yaml.safe_dump(settings, sort_keys=False) if settings else "")
