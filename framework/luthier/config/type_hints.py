"""What a type allows in a recipe: plain values, lists and mappings of them, members of an enumeration, and parts.

A member of an Enum is written by its name or by its value; the name goes first where both could be meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from operator import is_
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

_PLAIN = (str, int, float, bool, NoneType)


class Part:
    """Stands for a type that is no plain value: what the recipe says there must name its target."""


class Misfit(NamedTuple):
    """The innermost value that does not fit; `of_key`: it is a key of the mapping at the path."""

    path: str
    value: Any
    expected: Any
    of_key: bool = False


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
    if is_enum(expected):
        return member(value, expected) is not None
    if origin is list:
        return isinstance(value, list) and all(fits(one, arguments[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(
            _key_fits(key, arguments[0]) and fits(one, arguments[-1]) for key, one in value.items()
        )
    if expected in (None, NoneType):
        return value is None
    if expected is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if expected in (int, str, bool):
        return isinstance(value, expected) and (expected is bool or not isinstance(value, bool))
    return _is_instance(value, expected)


def _key_fits(key: Any, expected: Any) -> bool:
    return any(fits(one, expected) for one in _readings(key))


def _readings(key: Any) -> Iterator[Any]:
    """What a key may mean: itself, the number that its text says (`data.ranks.3=…`), the text of a whole number.

    How another number or true was written is not known any more, so it is no text.
    """
    yield key
    if type(key) is int:
        yield str(key)
    for reading in (int, float, {"true": True, "false": False}.__getitem__) if isinstance(key, str) else ():
        try:
            yield reading(key)
        except (ValueError, KeyError):
            continue


def key_type(expected: Any) -> Any:
    """The type of a mapping's keys; Any where a recipe cannot write such keys."""
    listed = get_args(expected) if get_origin(expected) in (Union, UnionType) else (expected,)
    can = all(one in _PLAIN or get_origin(one) is Literal or is_enum(one) for one in listed)
    return expected if can else Any


def _is_instance(value: Any, expected: Any) -> bool:
    """Whether the value is of a class that the real signature names; a class of plain values takes those, too."""
    plain = next(
        (one for one in (str, int, float, list, dict) if is_class(expected) and issubclass(expected, one)), None
    )
    try:
        return isinstance(value, plain or expected)
    except TypeError:  # what isinstance cannot tell is the part's own to check
        return True


def is_plain(value: Any) -> bool:
    """Whether a recipe can write the value."""
    if isinstance(value, dict):
        return all(isinstance(key, _PLAIN) and is_plain(one) for key, one in value.items())
    return all(map(is_plain, value)) if isinstance(value, list) else isinstance(value, _PLAIN)


def is_class(expected: Any) -> bool:
    return isinstance(expected, type) and expected is not Any  # a class since Python 3.11


def is_enum(expected: Any) -> bool:
    return is_class(expected) and issubclass(expected, Enum)


def _is(value: Any, one: Any) -> bool:
    """Whether a value of a recipe means this one of a Literal: itself, or a member's name or value."""
    return member(value, type(one)) is one if isinstance(one, Enum) else _says(value, one)


def _says(value: Any, known: Any) -> bool:
    """Whether a recipe's value is the one that is known: a tuple is a list there, and 1 is 1.0 where that is known."""
    known = list(known) if isinstance(known, tuple) else known
    same = type(value) is type(known) or (type(value), type(known)) == (int, float)
    return same and bool(value == known)


def member(value: Any, kind: type[Enum]) -> Enum | None:
    """The member that a recipe names, by name or by value; None where there is none."""
    if isinstance(value, str) and value in kind.__members__:
        return kind.__members__[value]
    for one in kind.__members__.values():
        if _says(value, one.value):
            return one
    try:
        return kind(value) if type(kind(value).value) is type(value) else None
    except (ValueError, TypeError, KeyError):  # also what a `_missing_` of its own raises
        return None


def received(value: Any, expected: Any) -> Any:
    """The value as the part receives it: members of an Enum instead of their names; all else as it is."""
    origin, arguments = get_origin(expected), get_args(expected)
    if is_enum(expected):
        found = member(value, expected)
        return value if found is None else found
    if origin is Literal:
        return next((one for one in arguments if isinstance(one, Enum) and _is(value, one)), value)
    if origin in (Union, UnionType):
        changing = [one for one in arguments if received(value, one) is not value and fits(value, one)]
        return received(value, changing[0]) if changing else value
    if origin is list and isinstance(value, list):
        made = [received(one, arguments[0]) for one in value]
        return made if any(new is not old for new, old in zip(made, value, strict=True)) else value
    if origin is dict and isinstance(value, dict):
        changed = {_received_key(key, arguments[0]): received(one, arguments[-1]) for key, one in value.items()}
        same = all(map(is_, [*changed, *changed.values()], [*value, *value.values()]))
        return value if same and len(changed) == len(value) else changed
    return value


def _received_key(key: Any, expected: Any) -> Any:
    reading = next((one for one in _readings(key) if fits(one, expected)), key)
    return received(reading, expected)


def misfit(value: Any, expected: Any, path: str) -> Misfit | None:
    """The innermost value that does not fit; None where all do."""
    if fits(value, expected):
        return None
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        tried = [found for one in arguments if (found := misfit(value, one, path))]
        inner = max(tried, key=lambda found: (len(found.path), found.of_key))
        return inner if len({found[:1] + found[3:] for found in tried}) > 1 else Misfit(path, value, expected)
    if origin is dict and isinstance(value, dict):
        for key in value:
            if not _key_fits(key, arguments[0]):
                return Misfit(path, key, arguments[0], of_key=True)
        misfits = (misfit(one, arguments[-1], f"{path}.{key}") for key, one in value.items())
    elif origin is list and isinstance(value, list):
        misfits = (misfit(one, arguments[0], f"{path}[{index}]") for index, one in enumerate(value))
    else:
        return Misfit(path, value, expected)
    return next((one for one in misfits if one), Misfit(path, value, expected))
