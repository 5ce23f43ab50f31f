"""The parameters of a function or a constructor as they were read, and what several of them come to."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from luthier.config.settings import REQUIRED
from luthier.config.source.annotations import known, type_of
from luthier.config.source.enumerations import enumeration, is_enumeration
from luthier.config.source.modules import Scope, Source
from luthier.config.source.resolution import Defined, resolve

Kind = Literal["positional only", "positional", "keyword"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an annotation or a default stands: the scope of its names, and the type parameters of its function."""

    scope: Scope
    source: Source
    free: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter with its default (REQUIRED where there is none); `field` of a class that is made from its fields."""

    name: str
    kind: Kind
    annotation: ast.expr | None
    default: Any
    place: Place
    field: bool = False

    @property
    def type(self) -> Any:
        return type_of(self.annotation, self.place.scope, self.place.source, free=self.place.free)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a call takes: `open`, it takes further names; not `certain`, it may take something else altogether."""

    parameters: tuple[Parameter, ...] = ()
    open: bool = False
    certain: bool = True

    @property
    def names(self) -> set[str]:
        return {one.name for one in self.parameters if one.kind != "positional only"}

    @property
    def shape(self) -> tuple[Any, ...]:
        """What two that take the same have in common."""
        written = [(one.annotation and ast.unparse(one.annotation), one.type) for one in self.parameters]
        listed = [(one.name, one.kind, str(one.default)) for one in self.parameters]
        return self.open, self.certain, listed, written

    def with_more(self, others: Iterable[Parameter]) -> Taken:
        """Own parameters first; what they hide is left out."""
        own = {one.name for one in self.parameters}
        return replace(self, parameters=(*self.parameters, *(one for one in others if one.name not in own)))

    def unsure(self) -> Taken:
        return replace(self, open=True, certain=False)


DYNAMIC = Taken(open=True, certain=False)


def either(found: list[Taken]) -> Taken:
    """One of several, a condition decides which: what all have in common is certain."""
    first, *others = found or [DYNAMIC]
    for one in others:
        if one.shape != first.shape:
            first = first.with_more(one.parameters).unsure()
    return first


def value_of(node: ast.expr | None, place: Place) -> Any:
    """A default as a recipe would write it; the source's text where it is no plain value."""
    if node is None:
        return REQUIRED
    value = _literal(node, place, 0)
    if value is _NO_LITERAL:
        return ast.unparse(node)
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value


_NO_LITERAL = object()
_MOST = 2**64
_FOLDED: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b, ast.FloorDiv: lambda a, b: a // b,
}  # fmt: skip


def _literal(node: ast.expr, place: Place, depth: int) -> Any:
    if depth > 20:
        return _NO_LITERAL
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        pass
    if isinstance(node, ast.BinOp):
        return _folded(node, place, depth)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _literal(node.operand, place, depth + 1)
        return -inner if isinstance(inner, (int, float)) else _NO_LITERAL
    if isinstance(node, ast.Attribute) and (name := _member(node, place)):
        return name
    if isinstance(node, ast.Name | ast.Attribute):
        return _named(node, place, depth)
    if isinstance(node, ast.Call) and not node.keywords and len(node.args) == 1:
        made = {known(one.path) for one in resolve(node.func, place.scope, place.source)}
        inner = _literal(node.args[0], place, depth + 1)
        if made == {"float"} and isinstance(inner, (str, int, float)):
            return _as_float(inner)
        if made <= {"frozenset", "tuple", "list", "set"} and isinstance(inner, (list, tuple, set, frozenset)):
            return list(inner)
        if made and made <= {"pathlib.Path", "str", "int"} and isinstance(inner, str | int):
            return inner
    return _NO_LITERAL


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
    for owner in resolve(node.value, place.scope, place.source):
        made = isinstance(owner, Defined) and isinstance(getattr(owner.node, "value", None), ast.Call)
        if isinstance(owner, Defined) and (is_enumeration(owner) or (made and enumeration(owner))):
            members = getattr(enumeration(owner), "__members__", None)
            if members is None or node.attr in members:
                return node.attr
    return ""


def _named(node: ast.Name | ast.Attribute, place: Place, depth: int) -> Any:
    """The literal that a constant of this or another module stands for."""
    found = resolve(node, place.scope, place.source)
    if len(found) != 1:
        return _NO_LITERAL
    (one,) = found
    if isinstance(one, Defined):
        value = getattr(one.node, "value", None)
        return _literal(value, Place(one.scope, one.source), depth + 1) if value is not None else _NO_LITERAL
    return {"math.inf": math.inf, "math.pi": math.pi, "math.e": math.e}.get(one.path, _NO_LITERAL)


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
