"""The settings of a part checked against its real signature, once it is imported and before it is built.

What could not be read from the source is settled here: unknown names, missing settings, values of the wrong type; and
the name or value of a member becomes the member, where the part expects an Enum.
"""

from __future__ import annotations

import collections.abc
import inspect
import re
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import PurePath
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from luthier.config.settings import MissingSettingError, mistyped, unknown_setting
from luthier.config.type_hints import misfit, received
from luthier.errors import RecipeError

_PLAIN = (str, int, float, bool, NoneType)
_UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")
_WRAPPERS = {typing.Final, typing.ClassVar, typing.Annotated}
_DEEPEST = 8


def as_received(
    target: Callable[..., Any], parts: Sequence[Any], settings: Mapping[str, Any], *, at: str, partial: bool = False
) -> dict[str, Any]:
    """The settings as the target receives them; RecipeError for what its signature does not take.

    `at` is the part's path in the recipe. With `partial`, what is missing may come later.
    """
    parameters = parameters_of(target)
    if parameters is None:
        return dict(settings)
    positional = [one for one in parameters.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    handed = {one.name for one in positional[: len(parts)]}
    _refuse_names(parameters, handed, settings, at, _name_of(target))
    if not partial:
        _refuse_missing(parameters, handed, settings, at)
    if _checks_itself(target):
        return dict(settings)
    hints = _hints(target, parameters)
    received_settings = {}
    for name, value in settings.items():
        expected = hints.get(name, Any)
        if _is_plain(value):
            wrong = misfit(value, expected, f"{at}.{name}")
            if wrong:
                raise mistyped(*wrong)
            value = received(value, expected)
        received_settings[name] = value
    return received_settings


def parameters_of(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    """What the target takes; None where Python does not know, as of some compiled functions."""
    try:
        return inspect.signature(target).parameters
    except (ValueError, TypeError):
        return None


def as_refusal(
    error: Exception, target: Callable[..., Any], settings: Mapping[str, Any], *, at: str
) -> RecipeError | None:
    """An error of the call itself in our words: a setting that was handed on to what does not take it.

    None where it is something else.
    """
    if isinstance(error, TypeError) and (match := _UNEXPECTED.search(str(error))) and match[1] in settings:
        known = [f"{at}.{name}" for name in _named(parameters_of(target) or {})]
        return unknown_setting(f"{at}.{match[1]}", known, _name_of(target))
    if type(error).__name__ == "ValidationError" and callable(getattr(error, "errors", None)):  # pydantic's
        first = error.errors()[0]  # type: ignore[attr-defined]
        path = ".".join([at, *map(str, first["loc"])])
        return RecipeError(f"{path} is {first.get('input')!r}: {first['msg']}.", where=path)
    return None


def _named(parameters: Mapping[str, inspect.Parameter]) -> dict[str, inspect.Parameter]:
    """Those that can be given by name."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: one for name, one in parameters.items() if one.kind in kinds}


def _name_of(target: Callable[..., Any]) -> str:
    return str(getattr(target, "__name__", type(target).__name__))


def _refuse_names(
    parameters: Mapping[str, inspect.Parameter], handed: set[str], settings: Mapping[str, Any], at: str, name: str
) -> None:
    known = set(_named(parameters))
    takes_more = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    for key in settings:
        if key in handed & known:
            raise RecipeError(f"{at}.{key} is handed over by luthier and cannot be set.", where=f"{at}.{key}")
        if key not in known and not takes_more:
            raise unknown_setting(f"{at}.{key}", [f"{at}.{one}" for one in known - handed], name)


def _refuse_missing(
    parameters: Mapping[str, inspect.Parameter], handed: set[str], settings: Mapping[str, Any], at: str
) -> None:
    for name, one in _named(parameters).items():
        if one.default is one.empty and name not in handed and name not in settings:
            raise MissingSettingError.at(f"{at}.{name}")


def _checks_itself(target: Any) -> bool:
    """Whether the class checks and converts its values, as pydantic's models do."""
    return any(hasattr(target, name) for name in ("__pydantic_validator__", "__pydantic_fields__"))


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(one) for one in value.values())
    if isinstance(value, list):
        return all(_is_plain(one) for one in value)
    return isinstance(value, _PLAIN)


def _hints(target: Any, parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """The types of the parameters as `luthier.config.type_hints` knows them; Any for one that cannot be told."""
    while hasattr(target, "func") and hasattr(target, "keywords"):
        target = target.func
    spaces = [_namespace(one) for one in (target.__mro__ if isinstance(target, type) else (target,))]
    return {name: normal(_evaluated(one.annotation, spaces)) for name, one in parameters.items()}


def _namespace(owner: Any) -> dict[str, Any]:
    function = inspect.unwrap(owner) if callable(owner) else owner
    module = sys.modules.get(getattr(function, "__module__", ""), None)
    return {**vars(module), **(vars(owner) if isinstance(owner, type) else {})} if module else {}


def _evaluated(annotation: Any, spaces: Sequence[dict[str, Any]]) -> Any:
    """An annotation with its names looked up in the first module that knows them all."""
    if annotation is inspect.Parameter.empty:
        return Any
    for space in spaces:
        try:
            return typing.get_type_hints(SimpleNamespace(__annotations__={"it": annotation}), globalns=space)["it"]
        except Exception:  # noqa: S112 - whatever a name of another module's raises, the next one is asked
            continue
    return Any


def normal(hint: Any, depth: int = 0) -> Any:
    """A real type as the checks of recipes know it: NewType, Annotated and aliases by what they stand for."""
    if hint is Any or hint is None or hint is NoneType or depth > _DEEPEST:
        return hint if depth <= _DEEPEST else Any
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return hint
    if origin in (Union, UnionType):
        return Union[tuple(normal(one, depth + 1) for one in arguments)]  # noqa: UP007 - built at run time
    if origin in _WRAPPERS or _written(hint) in {"Final", "ClassVar", "InitVar", "Required", "NotRequired", "ReadOnly"}:
        inner = arguments[0] if arguments else getattr(hint, "type", Any)
        return normal(inner, depth + 1)
    for attribute in ("__supertype__", "__value__"):  # NewType; TypeAliasType and `type Name = …`
        if hasattr(hint, attribute):
            return normal(getattr(hint, attribute), depth + 1)
    if origin is not None and hasattr(origin, "__value__"):
        return normal(origin.__value__, depth + 1)
    if isinstance(hint, typing.TypeVar):
        among = hint.__constraints__ or ((hint.__bound__,) if hint.__bound__ is not None else ())
        return Union[tuple(normal(one, depth + 1) for one in among)] if among else Any  # noqa: UP007 - as above
    return _of_class(origin if isinstance(origin, type) else hint, arguments, depth)


def _of_class(kind: Any, arguments: Sequence[Any], depth: int) -> Any:
    if not isinstance(kind, type):
        return Any if kind is not typing.LiteralString else str
    if kind in (*_PLAIN, object) or issubclass(kind, Enum):
        return Any if kind is object else kind
    if issubclass(kind, PurePath):
        return str
    if typing.is_typeddict(kind) or kind in (dict, typing.Mapping) or _is_abstract(kind, "Mapping"):
        return dict[str, normal(arguments[-1], depth + 1) if arguments else Any]  # type: ignore[misc]
    if kind is tuple and arguments:
        among: Any = Union[tuple(normal(one, depth + 1) for one in arguments if one is not ...)]  # noqa: UP007
        return list[among]
    if kind in (list, tuple, set, frozenset) or _is_abstract(kind, "Collection", "Iterable"):
        return list[normal(arguments[0], depth + 1) if arguments else Any]  # type: ignore[misc]
    if issubclass(kind, (str, int, float, list, dict, tuple)) or getattr(kind, "_is_protocol", False):
        return Any  # what it takes is its own
    if inspect.isabstract(kind) or kind.__module__ in {"numbers", "collections.abc"}:
        return Any
    return kind


def _is_abstract(kind: type, *names: str) -> bool:
    """Whether it is one of the abstract containers, or what stands between them (Sequence, MutableMapping, Set)."""
    if kind.__module__ not in {"collections.abc", "collections"} or not hasattr(kind, "__iter__"):
        return False
    return any(issubclass(kind, getattr(collections.abc, name)) for name in names)


def _written(hint: Any) -> str:
    origin = get_origin(hint)
    name = getattr(origin, "_name", None) or type(hint).__name__
    return str(name)
