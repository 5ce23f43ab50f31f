"""Errors of Hydra and OmegaConf as luthier's own, with the nearest names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

from luthier.config import bounds, command_line
from luthier.config.catalog import Catalog
from luthier.errors import LuthierError, RecipeError
from luthier.errors.suggestions import nearest

_LOOKUPS = (
    r"(?:In '(?P<file>[^']+)': )?Could not (?:find|load) '(?P<answer>[^']+)'",
    r"(?:In '(?P<file>[^']+)': )?Could not (?:override|delete) '(?P<question>[^']+)'\.(?: No match|\s*Did you mean)",
    r"Could not delete from config\. '(?P<deleted>[^']+)' does not exist",
    r"Could not override '(?P<key>[^']+)'",
    r"Key '(?P<key>[^']+)' (?:is )?not in",
    r"Interpolation key '(?P<reference>[^']+)' not found",
    r"Unsupported interpolation type (?P<resolver>\S+)",
)


def as_luthier_error(error: Exception, catalog: Catalog, keys: Callable[[], list[str]]) -> LuthierError:
    """The error as a sentence; `keys` gives the settings that the composition has, where a name is to be compared."""
    if isinstance(error, LuthierError):
        return error
    if isinstance(error, yaml.YAMLError):
        return bounds.unreadable(error, _file_in(error))
    text = "\n".join(filter(None, (str(error), str(error.__cause__ or ""))))
    for pattern in _LOOKUPS:
        if match := re.search(pattern, text, re.DOTALL):
            options = re.findall(
                r"^\t(\S+)$", text.partition("Available options in")[2].partition("Config search")[0], re.M
            )
            names = {"setting": _setting(error), **match.groupdict()}
            return _not_found({name: value for name, value in names.items() if value}, catalog, keys, options)
    message = " ".join(text.partition("Set the environment")[0].split())
    where = _setting(error)
    return RecipeError(message or type(error).__name__, where=where, hint="See `luthier --help`.")


def _setting(error: Exception) -> str:
    """The path of the setting that an error of OmegaConf is about; empty where it names none."""
    return str(getattr(error, "full_key", "") or getattr(error.__cause__, "full_key", "") or "")


def _not_found(
    names: dict[str, str], catalog: Catalog, keys: Callable[[], list[str]], options: list[str]
) -> RecipeError:
    where = _file(names.get("file"), catalog)
    if answer := names.get("answer"):
        question, _, name = answer.rpartition("/")
        if question.startswith("hydra/"):
            return RecipeError(
                f"Hydra has no {name!r} for {question}.", where=question, hint=nearest(name, options, "It has")
            )
        return command_line.no_such_answer(question, name, catalog, where=where or question)
    if (unasked := names.get("question")) is not None:
        return _not_asked(unasked, catalog, where=where)
    if reference := names.get("reference"):
        hint = nearest(reference, keys(), "There are")
        who = names.get("setting") or "The recipe"
        return RecipeError(
            f"{who} refers to {reference!r}, which the recipe does not have.", where=reference, hint=hint
        )
    if resolver := names.get("resolver"):
        who = names.get("setting") or "The recipe"
        hint = "An interpolation is ${path.of.a.setting}, or one of OmegaConf's and Hydra's resolvers."
        return RecipeError(f"{who} uses the resolver {resolver!r}, which does not exist.", where=who, hint=hint)
    if deleted := names.get("deleted"):
        known = [*keys(), *catalog.questions()]
        hint = f"Leave out ~{deleted}." if deleted in known else nearest(deleted, known, "There are")
        return RecipeError(f"The recipe has no value at {deleted!r} to take away.", where=deleted, hint=hint)
    key = names["key"]
    return no_such_setting(key, [*keys(), *catalog.questions()])


def _not_asked(question: str, catalog: Catalog, *, where: str) -> RecipeError:
    """A question that exists nowhere, or that this recipe does not ask."""
    plain = question.partition("@")[0]
    if plain not in catalog.questions():
        return command_line.no_such_question(plain, catalog, where=where or question)
    return RecipeError(
        f"This recipe does not ask the question {question!r}.",
        where=where or question,
        hint=f"Add it with +{question}=… .",
    )


def no_such_setting(key: str, known: list[str], *, where: str = "") -> RecipeError:
    return RecipeError(f"There is no setting {key!r}.", where=where or key, hint=nearest(key, known, "There are"))


def _file(config_path: str | None, catalog: Catalog) -> str:
    if not config_path:
        return ""
    question, _, name = config_path.rpartition("/")
    answer = catalog.answers.get((question or ".", name))
    return str(answer.file) if answer else config_path


def _file_in(error: Any) -> str:
    mark = getattr(error, "problem_mark", None)
    return str(mark.name) if mark else "a recipe file"
