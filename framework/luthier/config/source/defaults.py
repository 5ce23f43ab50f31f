"""The defaults of parameters and fields, as a recipe would write them."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Hashable
from typing import Any

from luthier.config.settings import REQUIRED
from luthier.config.source.annotations import known
from luthier.config.source.enumerations import enumeration, is_enumeration
from luthier.config.source.parameters import Place
from luthier.config.source.resolution import Defined, resolve
from luthier.config.type_hints import is_plain


def value_of(node: ast.expr | None, place: Place) -> Any:
    """A default as a recipe would write it; the source's text where it is no plain value."""
    if node is None:
        return REQUIRED
    value = _literal(node, place, 0)
    return value if is_plain(value) else ast.unparse(node)


_NO_LITERAL = object()
_MOST = 2**64
_LISTS = {"frozenset", "tuple", "list", "set"}
_FOLDED: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b, ast.FloorDiv: lambda a, b: a // b,
}  # fmt: skip


def _literal(node: ast.expr, place: Place, depth: int) -> Any:
    if depth > 20:
        return _NO_LITERAL
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [_literal(one, place, depth + 1) for one in node.elts]
    if isinstance(node, ast.Dict):
        return _mapping(node, place, depth)
    if isinstance(node, ast.BinOp):
        return _folded(node, place, depth)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _literal(node.operand, place, depth + 1)
        sign = -1 if isinstance(node.op, ast.USub) else 1
        return sign * inner if isinstance(inner, (int, float)) else _NO_LITERAL
    if isinstance(node, ast.Attribute) and (name := _member(node, place)):
        return name
    if isinstance(node, ast.Name | ast.Attribute):
        return _named(node, place, depth)
    return _called(node, place, depth) if isinstance(node, ast.Call) and not node.keywords else _NO_LITERAL


def _called(node: ast.Call, place: Place, depth: int) -> Any:
    """What the standard library's types make of a literal, such as `Path("here")` and `frozenset()`."""
    made = {known(one.path) for one in resolve(node.func, place.scope, place.source)}
    if len(made) != 1 or len(node.args) > 1:
        return _NO_LITERAL
    maker = made.pop()
    if not node.args:
        return [] if maker in _LISTS else {} if maker == "dict" else _NO_LITERAL
    inner = _literal(node.args[0], place, depth + 1)
    if maker == "float" and isinstance(inner, (str, int, float)):
        return _as_float(inner)
    if maker in _LISTS and isinstance(inner, list):
        return inner
    takes = {"pathlib.Path": str, "str": str, "int": int}.get(maker)
    return inner if takes is not None and type(inner) is takes else _NO_LITERAL


def _mapping(node: ast.Dict, place: Place, depth: int) -> Any:
    keys = [_NO_LITERAL if key is None else _literal(key, place, depth + 1) for key in node.keys]
    if not all(isinstance(key, Hashable) for key in keys):
        return _NO_LITERAL
    return dict(zip(keys, (_literal(one, place, depth + 1) for one in node.values), strict=True))


def _as_float(text: str | float) -> Any:
    try:
        return float(text)
    except ValueError:
        return _NO_LITERAL


def _folded(node: ast.BinOp, place: Place, depth: int) -> Any:
    """Sums and products of numbers, such as `4 * 1024`."""
    left, right = _literal(node.left, place, depth + 1), _literal(node.right, place, depth + 1)
    numbers = all(isinstance(one, (int, float)) for one in (left, right))
    if isinstance(node.op, ast.Pow) and numbers and 0 <= right <= 64 and abs(left) <= 64:
        return left**right
    operation = _FOLDED.get(type(node.op))
    if operation is None or not numbers or max(abs(left), abs(right)) > _MOST:
        return _NO_LITERAL
    try:
        return operation(left, right)
    except ZeroDivisionError:
        return _NO_LITERAL


def _member(node: ast.Attribute, place: Place) -> str:
    """The name of a member of an Enum (`Mode.FAST`), or of its value's owner (`Mode.FAST.value`)."""
    for owner in resolve(node.value, place.scope, place.source, before=node.lineno):
        made = isinstance(owner, Defined) and isinstance(getattr(owner.node, "value", None), ast.Call)
        if isinstance(owner, Defined) and (is_enumeration(owner) or (made and enumeration(owner))):
            members = getattr(enumeration(owner), "__members__", None)
            if members is None or node.attr in members:
                return node.attr
    return ""


def _named(node: ast.Name | ast.Attribute, place: Place, depth: int) -> Any:
    """The literal that a constant of this or another module stands for."""
    found = resolve(node, place.scope, place.source, before=node.lineno)  # as it is when the function is defined
    if len(found) != 1:
        return _NO_LITERAL
    (one,) = found
    if isinstance(one, Defined):
        value = getattr(one.node, "value", None)
        return _literal(value, Place(one.scope, one.source), depth + 1) if value is not None else _NO_LITERAL
    return {"math.inf": math.inf, "math.nan": math.nan, "math.pi": math.pi, "math.e": math.e}.get(one.path, _NO_LITERAL)


def of_field(node: ast.Call, place: Place) -> Any:
    """The default that `field(…)` of dataclasses, attrs or pydantic gives."""
    words = {word.arg: word.value for word in node.keywords}
    for factory in ("default_factory", "factory"):
        if factory in words:
            written = ast.unparse(words[factory])
            empty: dict[str, Any] = {"dict": {}, "list": [], "set": [], "tuple": [], "str": "", "int": 0, "bool": False}
            return empty[written] if written in empty else _of_factory(words[factory], place)
    first = next(iter(node.args), None)
    given = words.get("default", None if isinstance(first, ast.Constant) and first.value is ... else first)
    return value_of(given, place)


def _of_factory(node: ast.expr, place: Place) -> Any:
    return value_of(node.body, place) if isinstance(node, ast.Lambda) else ast.unparse(node)
