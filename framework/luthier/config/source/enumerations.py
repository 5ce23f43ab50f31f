"""The members of an Enum, read from its source."""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterator
from functools import cache
from typing import Any, Union

from luthier.config.source.resolution import Defined, Outside, resolve, resolved_base

_KINDS = {"Enum", "StrEnum", "IntEnum", "Flag", "IntFlag", "ReprEnum"}
_OWN_WAYS = {"_missing_", "_generate_next_value_", "__new__", "__init__", "_value_"}
_NO_MEMBERS = {"nonmember", "property"}


def is_enumeration(meaning: Defined) -> bool:
    return bool(_kinds(meaning))


def _kinds(meaning: Defined, depth: int = 0) -> set[str]:
    """Which of the standard library's enumerations the class derives from."""
    found: set[str] = set()
    for base in meaning.node.bases if isinstance(meaning.node, ast.ClassDef) and depth < 20 else ():
        for one in resolved_base(base, meaning):
            if isinstance(one, Defined):
                found |= _kinds(one, depth + 1)
            elif one.path.startswith("enum.") and one.path.removeprefix("enum.") in _KINDS:
                found.add(one.path.removeprefix("enum."))
    return found


@cache
def enumeration(meaning: Defined) -> Any:
    """An Enum of the same names and values; with Any where more may be allowed; None where no member can be read."""
    if isinstance(meaning.node, ast.ClassDef):
        kinds, read, known = _kinds(meaning), dict(_members(meaning)), not _has_own_ways(meaning)
    else:
        kinds, read, known = _of_call(meaning)
    if not read:
        return None
    made = enum.Enum(meaning.path.rpartition(".")[2], read)  # type: ignore[misc]
    exact = known and not kinds & {"Flag", "IntFlag"} and None not in read.values()
    return made if exact else Union[made, Any]  # noqa: UP007 - built at run time


def _has_own_ways(meaning: Defined) -> bool:
    """Whether the class, or one above it, makes its values in a way of its own."""
    assert isinstance(meaning.node, ast.ClassDef)
    if meaning.node.decorator_list and any("unique" not in ast.unparse(one) for one in meaning.node.decorator_list):
        return True
    if any(isinstance(one, ast.FunctionDef) and one.name in _OWN_WAYS for one in meaning.node.body):
        return True
    above = [one for base in meaning.node.bases for one in resolved_base(base, meaning)]
    return any(_has_own_ways(one) for one in above if isinstance(one, Defined) and isinstance(one.node, ast.ClassDef))


def _members(meaning: Defined) -> Iterator[tuple[str, Any]]:
    """(name, value); the value None where it is not written out. Python allows members in the last class only."""
    assert isinstance(meaning.node, ast.ClassDef)
    lowered, number = "StrEnum" in _kinds(meaning), 0
    values: dict[str, Any] = {}
    for statement in meaning.node.body:
        if not isinstance(statement, ast.Assign):
            continue
        names = [one.id for one in statement.targets if isinstance(one, ast.Name) and not one.id.startswith("_")]
        for name in names:
            value = _value(statement.value, values, meaning)
            if value is _NOT_A_MEMBER:
                continue
            if value is _AUTO:
                value = name.lower() if lowered else number + 1
            number = value if isinstance(value, int) else number
            values[name] = value
            yield name, value


_AUTO, _NOT_A_MEMBER = object(), object()


def _value(node: ast.expr, before: dict[str, Any], meaning: Defined) -> Any:
    if isinstance(node, ast.Call):
        makers = {one.path.removeprefix("enum.") for one in resolve(node.func, meaning.scope, meaning.source)}
        if "auto" in makers:
            return _AUTO
        if "member" in makers and node.args:
            return _value(node.args[0], before, meaning)
        return _NOT_A_MEMBER if makers & _NO_MEMBERS else None
    if isinstance(node, ast.Lambda):
        return _NOT_A_MEMBER
    if isinstance(node, ast.Name) and node.id in before:
        return before[node.id]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return _constant(node, meaning)


def _constant(node: ast.expr, meaning: Defined) -> Any:
    """The value of a name that stands for a literal elsewhere."""
    for one in resolve(node, meaning.scope, meaning.source) if isinstance(node, ast.Name | ast.Attribute) else ():
        if isinstance(one, Defined) and isinstance(one.node, ast.Assign):
            try:
                return ast.literal_eval(one.node.value)
            except ValueError:
                return None
    return None


def _of_call(meaning: Defined) -> tuple[set[str], dict[str, Any], bool]:
    """`Mode = Enum("Mode", ["fast", "slow"])`, its names also in one text or with values."""
    call = getattr(meaning.node, "value", None)
    if not isinstance(call, ast.Call) or len(call.args) < 2:
        return set(), {}, False
    found = resolve(call.func, meaning.scope, meaning.source)
    kinds = {one.path.removeprefix("enum.") for one in found if isinstance(one, Outside)}
    try:
        said = ast.literal_eval(call.args[1])
    except ValueError:
        return set(), {}, False
    names = said.replace(",", " ").split() if isinstance(said, str) else said
    if not isinstance(names, dict):
        pairs = [one if isinstance(one, tuple) else (one, None) for one in names]
        plain = all(value is None for _, value in pairs)
        count = {name: name.lower() if "StrEnum" in kinds else place for place, (name, _) in enumerate(pairs, 1)}
        names = count if plain else dict(pairs)
    return kinds & _KINDS, names, not call.keywords
