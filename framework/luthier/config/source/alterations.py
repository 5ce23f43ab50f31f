"""Whether code that a class or function runs through may change how it is called."""

from __future__ import annotations

import ast

from luthier.config.source.annotations import known
from luthier.config.source.inheritance import first, linear, own
from luthier.config.source.modules import Function
from luthier.config.source.resolution import Defined, Meaning, Outside, resolve

_PLAIN_METACLASSES = {"ABCMeta", "type", "enum.EnumMeta", "enum.EnumType"}
_CALLED = {"__init__", "__new__", "__call__", "__signature__"}
_LEAVE_ALONE = {
    "append", "add", "insert", "setdefault", "isinstance", "issubclass", "hasattr", "getattr", "print", "repr", "str",
    "vars", "id", "hash",
}  # fmt: skip


def may_change(body: ast.AST, names: set[str]) -> bool:
    """Whether a function may change how what it has under these names is called, or hands it to what may."""
    return any(_changes(node, names) for node in ast.walk(body))


def _changes(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.Constant):
        return node.value in _CALLED if isinstance(node.value, str) else False
    if isinstance(node, ast.Attribute):
        return node.attr in _CALLED and isinstance(node.ctx, ast.Store)
    if not isinstance(node, ast.Call) or _is_above(node):
        return False
    given = [*node.args, *(word.value for word in node.keywords)]
    if not any((isinstance(one, ast.Name) and one.id in names) or _is_above(one) for one in given):
        return False
    called = ast.unparse(node.func).rpartition(".")[2]
    if called == "setattr":
        return len(node.args) < 2 or not isinstance(node.args[1], ast.Constant)
    return called not in _LEAVE_ALONE


def _is_above(node: ast.AST) -> bool:
    """`super().__new__(…)`, `type.__init__(…)`: what every class runs through."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("super(", "type.__"))


def metaclass(order: list[Meaning]) -> list[Meaning]:
    """The metaclass that a class of this method resolution order has; several where a condition decides."""
    for one in order:
        for word in getattr(one.node, "keywords", []) if isinstance(one, Defined) else ():
            if word.arg == "metaclass":
                return resolve(word.value, one.scope, one.source)  # type: ignore[union-attr]
    return []


def made_otherwise(order: list[Meaning]) -> bool:
    """Whether the making of the class, by its metaclass or by `__init_subclass__` above, may change its constructor."""
    for one in order[1:]:
        for hook in own(one, "__init_subclass__"):
            if isinstance(hook, Defined) and may_change(hook.node, {"cls"}):
                return True
    return any(_makes_otherwise(kind) for kind in metaclass(order))


def _makes_otherwise(kind: Meaning) -> bool:
    if isinstance(kind, Outside):
        return known(kind.path) not in _PLAIN_METACLASSES
    made_by = [*first(linear(kind), "__new__"), *first(linear(kind), "__init__")]
    return any(may_change(one.node, _all_names(one.node)) or _returns_another(one.node) for one in made_by)


def _all_names(function: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}


def _returns_another(function: ast.AST) -> bool:
    """Whether a metaclass's `__new__` returns something else than the class that Python makes."""
    if not isinstance(function, Function):
        return True
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
    return not all(isinstance(one, ast.Name) or _is_above(one) for one in returned)
