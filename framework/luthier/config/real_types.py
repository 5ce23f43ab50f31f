"""The types that Python knows as the checks of recipes know them.

A class of the standard library has no `_target_` of ours to name: what the part takes for it is the part's own, as it
is above the torch line, where such classes are not read.
"""

from __future__ import annotations

import collections
import collections.abc
import inspect
import sys
import typing
from collections.abc import Sequence
from enum import Enum
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from luthier.config.type_hints import key_type

_WRAPPERS = {typing.Final, typing.ClassVar, typing.Annotated}
_DEEPEST = 8


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
    if kind in (str, int, float, bool, NoneType) or issubclass(kind, Enum):
        return kind
    if issubclass(kind, PurePath):
        return str
    if typing.is_typeddict(kind) or kind in (dict, typing.Mapping) or _is_abstract(kind, "Mapping"):
        return _mapping(kind, arguments, depth)
    if kind is tuple and arguments:
        among: Any = Union[tuple(normal(one, depth + 1) for one in arguments if one is not ...)]  # noqa: UP007
        return list[among]
    if kind in (list, tuple, set, frozenset) or _is_abstract(kind, "Collection", "Iterable"):
        return list[normal(arguments[0], depth + 1) if arguments else Any]  # type: ignore[misc]
    if issubclass(kind, (str, int, float, list, dict, tuple)) or getattr(kind, "_is_protocol", False):
        return Any  # what it takes is its own
    is_standard = kind.__module__.partition(".")[0] in sys.stdlib_module_names
    return Any if is_standard or inspect.isabstract(kind) else kind


def _mapping(kind: Any, arguments: Sequence[Any], depth: int) -> Any:
    if kind is collections.Counter and arguments:
        arguments = (*arguments, int)
    if len(arguments) != 2:  # a bare one, a TypedDict
        return dict[Any, Any]
    key, value = (normal(one, depth + 1) for one in arguments)
    return dict[key_type(key), value]  # type: ignore[misc]


def _is_abstract(kind: type, *names: str) -> bool:
    """Whether it is one of the abstract containers, or what stands between them (Sequence, MutableMapping, Set)."""
    if kind.__module__ not in {"collections.abc", "collections"} or not hasattr(kind, "__iter__"):
        return False
    return any(issubclass(kind, getattr(collections.abc, name)) for name in names)


def _written(hint: Any) -> str:
    origin = get_origin(hint)
    name = getattr(origin, "_name", None) or type(hint).__name__
    return str(name)
