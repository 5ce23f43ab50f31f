"""Which decorators leave a signature as it is written."""

from __future__ import annotations

import ast

from luthier.config.source.alterations import may_change
from luthier.config.source.annotations import known
from luthier.config.source.modules import Function
from luthier.config.source.resolution import Defined, Outside, resolve

_KEEP = {
    "final", "runtime_checkable", "override", "overload", "no_type_check", "dataclass_transform", "deprecated",
    "warnings.deprecated", "abstractmethod", "staticmethod", "classmethod", "functools.total_ordering",
    "functools.cache", "functools.lru_cache", "contextlib.contextmanager", "dataclasses.dataclass", "enum.unique",
    "torch.no_grad", "torch.inference_mode", "torch.enable_grad",
}  # fmt: skip


def keep_signature(meaning: Defined) -> bool:
    """Whether each decorator of a class or function gives back what takes the same."""
    listed = getattr(meaning.node, "decorator_list", [])
    return all(_keeps(one, meaning) for one in listed)


def _keeps(node: ast.expr, meaning: Defined) -> bool:
    called = isinstance(node, ast.Call)
    function = node.func if isinstance(node, ast.Call) else node
    found = resolve(function, meaning.scope, meaning.source)
    return bool(found) and all(
        known(one.path) in _KEEP if isinstance(one, Outside) else _gives_back(one.node, called) for one in found
    )


def _gives_back(node: ast.AST, called: bool) -> bool:
    """Whether a decorator that was read returns the very object it was given, as those of registries do.

    `called`: it is written with arguments, and what it returns decorates.
    """
    if not isinstance(node, ast.FunctionDef) or node.decorator_list:
        return False
    returned = [one.value for one in _own_statements(node) if isinstance(one, ast.Return)]
    if called:
        inner = {one.name: one for one in node.body if isinstance(one, ast.FunctionDef)}
        return bool(returned) and all(
            isinstance(one, ast.Name) and one.id in inner and _gives_back(inner[one.id], False) for one in returned
        )
    if not node.args.args or not returned or not all(isinstance(one, ast.Name) for one in returned):
        return False
    name = node.args.args[0].arg
    bound = any(
        isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Store) for one in ast.walk(node)
    )
    changed = bound or may_change(node, {name})
    return not changed and all(isinstance(one, ast.Name) and one.id == name for one in returned)


def _own_statements(node: ast.FunctionDef) -> list[ast.AST]:
    """The nodes of a function without those of functions in it."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        one = waiting.pop()
        found.append(one)
        if not isinstance(one, Function | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(one)
    return found
