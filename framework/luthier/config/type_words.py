"""A type as a person says it, and its values as a recipe writes them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from luthier.config.type_hints import Part, is_class, is_enum, is_plain

_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "None": "null"}
_MANY: dict[Any, str] = {int: "whole numbers", float: "numbers", str: "texts", Part: "parts (each with a _target_)"}
_NO_TEXT = re.compile(r"|~|null|true|false|[-+]?(\d[\d_]*)?\.?\d+\.?(e[-+]?\d+)?|[-+]?\.?inf|\.?nan", re.IGNORECASE)
"""What is something else than text where it is not quoted."""


def readable(expected: Any) -> str:
    """The type as a person says it."""
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        return " or ".join(map(readable, arguments))
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(map(_listed, arguments))
    if is_enum(expected):
        return _members(expected)
    if origin is list:
        return f"a list of {_several(arguments[0])}"
    if origin is dict:
        keys = "names" if arguments[0] in (str, Any) else _several(arguments[0])
        return f"a mapping of {keys} to {_several(arguments[-1])}"
    if expected is Part:
        return "a part (with a _target_)"
    if is_class(expected) and expected not in (int, float, str, bool, NoneType, object):
        return f"a {expected.__qualname__} (a part with a _target_)"
    return _WORDS.get("None" if expected in (None, NoneType) else getattr(expected, "__name__", "Any"), "anything")


def _members(kind: type[Enum]) -> str:
    names, values = list(kind.__members__), _values(kind.__members__.values())
    listed = f"one of {', '.join(names)}"
    return listed if values in ([], names) else f"{listed} (by name) or {', '.join(map(written, values))} (by value)"


def _several(expected: Any) -> str:
    known = expected in _MANY if getattr(expected, "__hash__", None) else False
    return _MANY[expected] if known else readable(expected)


def _listed(one: Any) -> str:
    return one.name if isinstance(one, Enum) else written(one)


def written(value: Any) -> str:
    """A value as a recipe writes it, inside a list, too: null, true, .inf, and text in quotes where it needs them."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else "-.inf" if value < 0 else ".inf"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{written(key)}: {written(one)}' for key, one in value.items())}}}"
    return repr(value) if isinstance(value, str) and _NO_TEXT.fullmatch(value) else str(value)


def in_json(value: Any) -> Any:
    """The value where JSON has it, else the text that a recipe says it by."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return written(value)
    return value


def choices(expected: Any) -> list[str]:
    """The values that can be listed: those of a Literal, the names of an Enum, true and false, null."""
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        return [choice for one in arguments for choice in choices(one)]
    if origin is Literal:
        return [_listed(one) for one in arguments]
    if is_enum(expected):
        return list(expected.__members__)
    if expected is bool:
        return ["true", "false"]
    return ["null"] if expected in (None, NoneType) else []


def ways_to_write(one: Any) -> list[Any]:
    """How a recipe may write a value that is listed: itself, a member by its name and its value."""
    if not isinstance(one, Enum):
        return [one] if is_plain(one) else []
    return [one.name, *(value for value in _values([one]) if value != one.name)]


def _values(members: Iterable[Enum]) -> list[Any]:
    """The values of members that a recipe can write."""
    values = [list(one.value) if isinstance(one.value, tuple) else one.value for one in members]
    return [value for value in values if value is not None and is_plain(value)]
