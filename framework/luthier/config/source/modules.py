"""Modules read by griffe without importing them: what each binds to a name, and under which condition.

A module is read when a signature needs it, alone: neither the package around it nor what it imports.
"""

from __future__ import annotations

import ast
import gc
import importlib.util
import logging
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import griffe

from luthier.plugins.source_code import spec

LARGEST = 100_000
"""Characters. A larger module (torch's are) is not read for what others inherit or import from it."""

ANY_NAME = "*"
"""Stands for names that a module binds as it runs, through `globals()`."""
_FOR_CHECKERS = {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
Scope = griffe.Module | griffe.Class
Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.ClassDef | Function
logging.getLogger("griffe").setLevel(logging.CRITICAL)  # what griffe cannot read is accepted here, and checked later


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """What a statement binds to a name: a definition, an assignment, or (`imported`) the path of what it imports.

    `certain`: the statement always runs. One in a branch that cannot run is not recorded.
    """

    node: ast.AST
    scope: Scope
    inner: Scope | None = None
    imported: str = ""
    certain: bool = True


@dataclass(slots=True, eq=False)
class Source:
    """A module's bindings by dotted path inside it (`Outer.Inner`), and the modules whose names it takes by `*`.

    A class that is defined a second time has a path of its own, `Outer#2`; `keys` has the path of each by its id.

    `stored` are all names that a statement of the module itself binds: a loop, `with` and tuple assignments, too.
    `patched` are the dotted names that get an attribute from outside: `Thing.__init__ = other`.
    """

    name: str
    file: Path
    module: griffe.Module
    bindings: dict[str, list[Binding]] = field(default_factory=lambda: defaultdict(list))
    keys: dict[int, str] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)
    patched: set[str] = field(default_factory=set)

    def bound(self, path: str, before: int = 0) -> list[Binding]:
        """What the name may stand for once the module has run, or when it comes to the line `before`.

        That is the last certain binding and what may replace it.
        """
        found = [one for one in self.bindings.get(path, []) if not before or getattr(one.node, "lineno", 0) < before]
        last = max((index for index, one in enumerate(found) if one.certain), default=0)
        return found[last:]

    def public(self, name: str) -> bool:
        """Whether `from module import *` takes the name."""
        exports = self.module.exports
        if exports is None:
            return not name.startswith("_")
        return any(str(one) == name or isinstance(one, griffe.Expr) for one in exports)


class _Recorder(griffe.Extension):
    """griffe's visitor keeps one member for a name; this keeps all of them, with their syntax trees."""

    def __init__(self) -> None:
        self.tree: ast.Module = ast.Module(body=[], type_ignores=[])
        self.found: list[tuple[str, Binding]] = []
        self.keys: dict[int, str] = {}
        self.stars: list[str] = []
        self.patched: set[str] = set()

    def on_module_node(self, *, node: Any, **_: Any) -> None:
        self.tree = node

    def on_class_instance(self, *, node: Any, cls: griffe.Class, **_: Any) -> None:
        self._add(node, cls, inner=cls)

    def on_function_instance(self, *, node: Any, func: griffe.Function, **_: Any) -> None:
        self._add(node, func)
        if isinstance(func.parent, griffe.Class) and not node.name.startswith("__"):
            node.body = []  # of other methods no more than the name is needed

    def on_attribute_instance(self, *, node: Any, attr: griffe.Attribute, **_: Any) -> None:
        if not _inside_function(node):
            self._add(node, attr)

    def on_type_alias_instance(self, *, node: Any, type_alias: griffe.TypeAlias, **_: Any) -> None:
        self._add(node, type_alias)

    def on_alias_instance(self, *, node: Any, alias: griffe.Alias, **_: Any) -> None:
        if "/" in alias.name:
            self.stars.append(alias.target_path)
        elif not _inside_function(node):
            self._add(node, alias, imported=alias.target_path)

    def on_attribute_node(self, *, node: Any, **_: Any) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        self.patched |= {ast.unparse(one.value) for one in targets if isinstance(one, ast.Attribute)}

    def _add(self, node: Any, member: Any, *, inner: Scope | None = None, imported: str = "") -> None:
        scope = member.parent
        conditions = list(_conditions(node))
        if not isinstance(scope, Scope) or (scope.is_class and id(scope) not in self.keys) or False in conditions:
            return
        path = f"{self.keys[id(scope)]}.{member.name}" if scope.is_class else member.name
        if inner is not None:
            twins = sum(key.partition("#")[0] == path for key in self.keys.values())
            self.keys[id(inner)] = f"{path}#{twins + 1}" if twins else path
        self.found.append((path, Binding(node, scope, inner, imported, None not in conditions)))


def _inside_function(node: Any) -> bool:
    while (node := getattr(node, "parent", None)) is not None:
        if isinstance(node, Function):
            return True
    return False


def _conditions(node: Any) -> Iterator[bool | None]:
    """Whether each branch around the statement, in its class or module, runs; None where that is not known.

    What stands under `if TYPE_CHECKING` may run: annotations mean it.
    """
    while (above := getattr(node, "parent", None)) is not None and not isinstance(above, Definition):
        if isinstance(above, ast.If) and ast.unparse(above.test) in _FOR_CHECKERS:
            yield None if node in above.body else True
        elif isinstance(above, ast.If):
            runs = _truth(above.test)
            yield runs if node in above.body or runs is None else not runs
        elif not isinstance(above, ast.Module):  # try, with, match, a loop
            yield None
        node = above


def _truth(test: ast.expr) -> bool | None:
    if ast.unparse(test) in _FOR_CHECKERS:
        return False
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _truth(test.operand)
        return None if inner is None else not inner
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and ast.unparse(test.left) == "sys.version_info":
        try:
            there = tuple(ast.literal_eval(test.comparators[0]))
        except (ValueError, TypeError):
            return None
        here = tuple(sys.version_info)
        answers: dict[type[ast.cmpop], bool] = {
            ast.GtE: here >= there, ast.Gt: here > there, ast.Lt: here < there, ast.LtE: here <= there,
        }  # fmt: skip
        return answers.get(type(test.ops[0]))
    return None


@cache
def source(name: str, largest: int | None = LARGEST) -> Source | None:
    """The module read; None where there is no source, or more than `largest` characters of it. SyntaxError as is."""
    found = spec(name)
    if found is None or not found.origin or not found.origin.endswith(".py"):
        return None
    file = Path(found.origin)
    return None if largest is not None and file.stat().st_size > largest else _visited(name, file)


@cache
def stub(name: str) -> Source | None:
    """The stub file beside a module (PEP 484) read; None without one."""
    found = spec(name)
    file = Path(found.origin).with_suffix(".pyi") if found and found.origin else None
    return _visited(name, file) if file and file.is_file() else None


def _visited(name: str, file: Path) -> Source:
    recorder, parent = _Recorder(), _package(name.rpartition(".")[0])
    text = importlib.util.decode_source(file.read_bytes())
    with _without_collection():
        last = name.rpartition(".")[2]
        read = griffe.visit(last, file, text, extensions=griffe.Extensions(recorder), parent=parent)
    made = Source(name, file, read, stars=recorder.stars, stored=_stored(recorder.tree))
    made.patched, made.keys = recorder.patched, recorder.keys
    for path, binding in recorder.found:
        made.bindings[path].append(binding)
    return made


@contextmanager
def _without_collection() -> Iterator[None]:
    """Syntax trees hold no garbage while they grow, and looking for some takes a third of the time.

    What was made goes to the oldest generation unsearched, unless somebody keeps objects frozen.
    """
    on, frozen = gc.isenabled(), gc.get_freeze_count()
    gc.disable()
    try:
        yield
    finally:
        if not frozen:
            gc.freeze()
            gc.unfreeze()
        if on:
            gc.enable()


def _stored(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"globals", "exec"}:
            found.add(ANY_NAME)
        if not isinstance(node, Definition | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return found


def _package(name: str) -> griffe.Module | None:
    """The package around a module, unread: relative imports start from its name."""
    if not name:
        return None
    found = spec(name)
    file = Path(found.origin) if found and found.origin else None
    return griffe.Module(name.rpartition(".")[2], filepath=file or [], parent=_package(name.rpartition(".")[0]))
