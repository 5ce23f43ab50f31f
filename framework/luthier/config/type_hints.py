"""What a type allows in a recipe: plain values, lists and mappings of them, members of an enumeration, and parts.

A member of an Enum is written by its name or by its value; the name goes first where both could be meant.
"""

from __future__ import annotations

from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "None": "null"}


class Part:
    """Stands for a type that is no plain value: what the recipe says there must name its target."""


def fits(value: Any, expected: Any) -> bool:
    """Whether a value of a recipe is what a setting expects; a whole number is a float, a number is no text."""
    if expected is Any:
        return True
    if expected is Part:
        return isinstance(value, dict) and "_target_" in value
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in arguments)
    if origin is Literal:
        return any(_is(value, one) for one in arguments)
    if _is_enum(expected):
        return member(value, expected) is not None
    if origin is list:
        return isinstance(value, list) and all(fits(one, arguments[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(one, arguments[-1]) for one in value.values())
    if expected in (None, NoneType):
        return value is None
    if expected is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if expected in (int, str, bool):
        return isinstance(value, expected) and (expected is bool or not isinstance(value, bool))
    return _is_instance(value, expected)


def _is_instance(value: Any, expected: Any) -> bool:
    """Whether the value is of a class that the real signature names; a class of plain values takes those, too."""
    plain = next(
        (one for one in (str, int, float, list, dict) if _is_class(expected) and issubclass(expected, one)), None
    )
    try:
        return isinstance(value, plain or expected)
    except TypeError:  # what isinstance cannot tell is the part's own to check
        return True


def _is_class(expected: Any) -> bool:
    return isinstance(expected, type) and expected is not Any  # a class since Python 3.11


def _is_enum(expected: Any) -> bool:
    return _is_class(expected) and issubclass(expected, Enum)


def _is(value: Any, one: Any) -> bool:
    """Whether a value of a recipe means this one of a Literal: itself, or a member's name or value."""
    if isinstance(one, Enum):
        return member(value, type(one)) is one
    return bool(value == one) and type(value) is type(one)


def member(value: Any, kind: type[Enum]) -> Enum | None:
    """The member that a recipe names, by name or by value; None where there is none."""
    if isinstance(value, str) and value in kind.__members__:
        return kind.__members__[value]
    for one in kind.__members__.values():
        known = list(one.value) if isinstance(one.value, tuple) else one.value
        if known == value and type(known) is type(value):
            return one
    try:
        return kind(value) if type(kind(value).value) is type(value) else None
    except (ValueError, TypeError, KeyError):  # also what a `_missing_` of its own raises
        return None


def ways_to_write(one: Any) -> list[Any]:
    """How a recipe may write a value that is listed: itself, a member by its name and its value."""
    if not isinstance(one, Enum):
        return [one]
    value = list(one.value) if isinstance(one.value, tuple) else one.value
    return [one.name] if value == one.name or value is None else [one.name, value]


def received(value: Any, expected: Any) -> Any:
    """The value as the part receives it: members of an Enum instead of their names; all else as it is."""
    origin, arguments = get_origin(expected), get_args(expected)
    if _is_enum(expected):
        found = member(value, expected)
        return value if found is None else found
    if origin is Literal:
        return next((one for one in arguments if isinstance(one, Enum) and _is(value, one)), value)
    if origin in (Union, UnionType):
        of_enum = [one for one in arguments if received(value, one) is not value and fits(value, one)]
        return received(value, of_enum[0]) if of_enum else value
    if origin is list and isinstance(value, list):
        made = [received(one, arguments[0]) for one in value]
        return made if any(new is not old for new, old in zip(made, value, strict=True)) else value
    if origin is dict and isinstance(value, dict):
        changed = {key: received(one, arguments[-1]) for key, one in value.items()}
        return changed if any(changed[key] is not value[key] for key in value) else value
    return value


def misfit(value: Any, expected: Any, path: str) -> tuple[str, Any, Any] | None:
    """(path, value, expected) of the innermost value that does not fit; None where all do."""
    if fits(value, expected):
        return None
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        tried = [found for one in arguments if (found := misfit(value, one, path))]
        return (
            max(tried, key=lambda found: len(found[0]))
            if len({found[0] for found in tried}) > 1
            else (path, value, expected)
        )
    inner: list[tuple[str, Any]] = []
    if origin is dict and isinstance(value, dict):
        inner = [(f"{path}.{key}", one) for key, one in value.items()]
    elif origin is list and isinstance(value, list):
        inner = [(f"{path}[{index}]", one) for index, one in enumerate(value)]
    misfits = (misfit(one, arguments[-1], where) for where, one in inner)
    return next((one for one in misfits if one), (path, value, expected))


def readable(expected: Any) -> str:
    """The type as a person says it."""
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        return " or ".join(map(readable, arguments))
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(map(_written, arguments))
    if _is_enum(expected):
        return _members(expected)
    if origin is list:
        return f"a list of {_several(arguments[0])}"
    if origin is dict:
        return f"a mapping of names to {_several(arguments[-1])}"
    if expected is Part:
        return "a part (with a _target_)"
    if _is_class(expected) and expected not in (int, float, str, bool, NoneType, object):
        return f"a {expected.__qualname__} (a part with a _target_)"
    return _WORDS.get("None" if expected in (None, NoneType) else getattr(expected, "__name__", "Any"), "anything")


def _members(kind: type[Enum]) -> str:
    names, values = list(kind.__members__), [one.value for one in kind.__members__.values()]
    if names == values:
        return f"one of {', '.join(names)}"
    return (
        f"one of {', '.join(names)} (by name) or {', '.join(str(one) for one in values if one is not None)} (by value)"
    )


def _written(one: Any) -> str:
    return one.name if isinstance(one, Enum) else str(one)


def _several(expected: Any) -> str:
    words = {
        int: "whole numbers",
        float: "numbers",
        str: "texts",
        bool: "true or false",
        Part: "parts (each with a _target_)",
    }
    return words.get(expected, readable(expected)) if getattr(expected, "__hash__", None) else readable(expected)


def choices(expected: Any) -> list[str]:
    """The values that can be listed: those of a Literal, the names of an Enum, true and false, null."""
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        return [choice for one in arguments for choice in choices(one)]
    if origin is Literal:
        return [_written(one) for one in arguments]
    if _is_enum(expected):
        return list(expected.__members__)
    if expected is bool:
        return ["true", "false"]
    return ["null"] if expected in (None, NoneType) else []
