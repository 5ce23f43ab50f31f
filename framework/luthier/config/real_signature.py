"""The settings of a part checked against its real signature, once it is imported and before it is built.

What could not be read from the source is settled here: unknown names, missing settings, values of the wrong type; and
the name or value of a member becomes the member, where the part expects an Enum.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from luthier.config.conformance import refuse_misfit
from luthier.config.settings import REQUIRED, MissingSettingError, mistyped, unknown_setting
from luthier.config.target import Target
from luthier.config.type_hints import is_plain, misfit, received
from luthier.errors import PluginError, RecipeError
from luthier.plugins.answered import answer_of
from luthier.plugins.blame import place_of, written

_UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r"missing \d+ required (?:keyword-only|positional) arguments?: '(\w+)'")


def as_received(
    target: Target, parts: Sequence[Any], settings: Mapping[str, Any], *, at: str, partial: bool = False
) -> dict[str, Any]:
    """The settings as the target receives them; RecipeError for what its signature does not take.

    `at` is the part's path in the recipe. With `partial`, what is missing may come later.
    """
    if target.parameters is not None:
        handed = set(target.handed(len(parts)))
        _refuse_names(target, handed, settings, at)
        if not partial:
            _refuse_missing(target, handed, settings, at)
    return {name: _received(target, name, value, f"{at}.{name}") for name, value in settings.items()}


def _received(target: Target, name: str, value: Any, path: str) -> Any:
    if not is_plain(value):
        refuse_misfit(value, target.annotation_of(name)[0], path)
    expected, certain = target.type_of(name)
    if certain and is_plain(value) and not _checks_itself(target.made) and (wrong := misfit(value, expected, path)):
        raise mistyped(wrong)
    return received(value, expected)


def as_refusal(
    error: Exception, target: Target, parts: Sequence[Any], settings: Mapping[str, Any], *, at: str
) -> RecipeError | None:
    """An error of the call itself in our words: a setting that is missing, or was handed on to what does not take it.

    None where it is something else.
    """
    said = str(error) if isinstance(error, TypeError) else ""
    told = target.source.told if target.source else {}
    known = {*target.by_name, *told} - set(target.handed(len(parts)))
    if (match := _UNEXPECTED.search(said)) and match[1] in settings and match[1] not in target.by_name:
        others = [f"{at}.{name}" for name in known if name != match[1]]
        return unknown_setting(f"{at}.{match[1]}", others, _name_of(target.made))
    if (match := _MISSING.search(said)) and match[1] in known - set(settings) and _is_required(match[1], target):
        return MissingSettingError.at(f"{at}.{match[1]}")
    if type(error).__name__ == "ValidationError" and callable(getattr(error, "errors", None)):  # pydantic's
        first = error.errors()[0]  # type: ignore[attr-defined]
        path = ".".join([at, *map(str, first["loc"])])
        return RecipeError(f"{path} is {first.get('input')!r}: {first['msg']}.", where=path)
    return None


def _is_required(name: str, target: Target) -> bool:
    """Whether the target itself asks for the setting; else something inside it misses an argument of that name."""
    if (one := target.by_name.get(name)) is not None:
        return one.default is one.empty
    return target.source is not None and target.source.told[name].default == REQUIRED


def _name_of(target: Any) -> str:
    return str(getattr(target, "__name__", type(target).__name__))


def _refuse_names(target: Target, handed: set[str], settings: Mapping[str, Any], at: str) -> None:
    known = set(target.by_name)
    for key in settings:
        if key in handed & known:
            raise RecipeError(f"{at}.{key} is handed over by luthier and cannot be set.", where=f"{at}.{key}")
        if key not in known and not target.is_open:
            raise unknown_setting(f"{at}.{key}", [f"{at}.{one}" for one in known - handed], _name_of(target.made))


def _refuse_missing(target: Target, handed: set[str], settings: Mapping[str, Any], at: str) -> None:
    if target.wrapper != target.parameters:  # it may fill in what the recipe does not say
        return
    for name, one in target.by_name.items():
        if one.default is one.empty and name not in handed and name not in settings:
            if one.kind is not one.KEYWORD_ONLY and inspect.isroutine(written(target.made)):
                raise _called_too_early(target, [*handed, *settings], at)
            raise MissingSettingError.at(f"{at}.{name}")


def _called_too_early(target: Target, known: Sequence[str], at: str) -> PluginError:
    """A function of positional parameters is to be called with them later, and its option file does not say so."""
    later = [
        name
        for name, one in target.by_name.items()
        if one.default is one.empty and one.kind is not one.KEYWORD_ONLY and name not in known
    ]
    place = place_of(target.made)
    return PluginError(
        f"{answer_of(written(target.made)) or at}: {place} takes {', '.join(later)}, which nobody has while a recipe "
        "is built.",
        where=at,
        hint="Where it is to be called with them later, its option file says so: _partial_: true.",
    )


def _checks_itself(target: Any) -> bool:
    """Whether the class checks and converts its values, as pydantic's models do."""
    return any(hasattr(target, name) for name in ("__pydantic_validator__", "__pydantic_fields__"))
