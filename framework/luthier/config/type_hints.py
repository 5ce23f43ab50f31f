"""What a type hint allows in a recipe, read from its source: plain values, lists and mappings of them, and parts."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

_PLAIN: dict[str, Any] = {
    "int": int, "float": float, "str": str, "bool": bool, "None": None, "Any": Any, "object": Any, "Path": str,
    "list": list, "Sequence": list, "Iterable": list, "tuple": list, "set": list,
    "dict": dict, "Mapping": dict,
}  # fmt: skip
_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "None": "null"}


class Part:
    """Stands for a type that is no plain value: what the recipe says there must name its target."""


def allowed(node: ast.expr | None, aliases: Mapping[str, ast.expr]) -> Any:
    """The type that an annotation means; `aliases` are the names that its module gives to types."""
    if node is None:
        return Any
    if isinstance(node, ast.Constant):
        return allowed(ast.parse(node.value, mode="eval").body, aliases) if isinstance(node.value, str) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return Union[allowed(node.left, aliases), allowed(node.right, aliases)]  # noqa: UP007 - built at run time
    if isinstance(node, ast.Subscript):
        return _subscripted(node, aliases)
    name = _name(node)
    if name in aliases and name not in _PLAIN:
        return allowed(aliases[name], {key: value for key, value in aliases.items() if key != name})
    plain = _PLAIN.get(name, Part)
    return {list: list[Any], dict: dict[str, Any]}.get(plain, plain)


def _subscripted(node: ast.Subscript, aliases: Mapping[str, ast.expr]) -> Any:
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    name = _name(node.value)
    if name == "Literal":
        return Literal[tuple(ast.literal_eval(item) for item in inner)]
    if name in {"Optional", "Union"}:
        types = [allowed(item, aliases) for item in inner]
        return Union[tuple([*types, None] if name == "Optional" else types)]  # noqa: UP007 - built at run time
    container = _PLAIN.get(name, Part)
    if container is dict:
        return dict[str, allowed(inner[-1], aliases)]  # type: ignore[misc]
    return list[allowed(inner[0], aliases)] if container is list else Part  # type: ignore[misc]


def _name(node: ast.expr) -> str:
    return ast.unparse(node).rsplit(".", 1)[-1]


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
        return any(value == one and type(value) is type(one) for one in arguments)
    if origin is list:
        return isinstance(value, list) and all(fits(one, arguments[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(one, arguments[-1]) for one in value.values())
    if expected in (None, NoneType):
        return value is None
    if expected is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, expected) and (expected is bool or not isinstance(value, bool))


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
        return ("one of " if len(arguments) > 1 else "") + ", ".join(map(str, arguments))
    if origin is list:
        return f"a list of {_several(arguments[0])}"
    if origin is dict:
        return f"a mapping of names to {_several(arguments[-1])}"
    if expected is Part:
        return "a part (with a _target_)"
    return _WORDS.get("None" if expected in (None, NoneType) else getattr(expected, "__name__", "Any"), "anything")


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
    """The values that can be listed: those of a Literal, true and false, null."""
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        return [choice for one in arguments for choice in choices(one)]
    if origin is Literal:
        return [str(one) for one in arguments]
    if expected is bool:
        return ["true", "false"]
    return ["null"] if expected in (None, NoneType) else []
