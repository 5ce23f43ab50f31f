"""What a name means in the module that writes it, as Python would look it up, without importing anything."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from luthier.config.source import modules
from luthier.config.source.modules import Binding, Scope, Source
from luthier.plugins.source_code import spec

NOWHERE = "?"
"""The path of what is known to Python only."""


@dataclass(frozen=True, slots=True)
class Defined:
    """A class, function or assignment that was read; `scope` is where the names inside it are looked up."""

    path: str
    node: ast.AST
    scope: Scope
    source: Source
    inner: Scope | None = None

    @property
    def key(self) -> str:
        """A class's path inside its module, of its own where the name is defined twice."""
        return self.source.keys.get(id(self.inner), "") if self.inner is not None else ""


@dataclass(frozen=True, slots=True)
class Outside:
    """A dotted path that is not read: of the standard library, of a compiled or large module, or a module itself."""

    path: str


Meaning = Defined | Outside
UNKNOWN = Outside(NOWHERE)
_looking: set[str] = set()


def find(path: str) -> list[Meaning]:
    """What an absolute dotted path names: several where a condition decides, none where it is bound nowhere."""
    words = path.split(".")
    if NOWHERE in words[0] or path in _looking:
        return [UNKNOWN]
    if words[0] in sys.stdlib_module_names or words[0] == "builtins":
        return [Outside(path)]
    depth = next((depth for depth in range(len(words), 0, -1) if spec(".".join(words[:depth]))), 0)
    if not depth:
        return [Outside(path)]
    with _once(path):
        if depth == len(words):
            return _named_like_a_module(words) or [Outside(path)]
        found: list[Meaning] = []
        for split in range(depth, 0, -1):
            read = _read(".".join(words[:split]))
            found = [Outside(path)] if read is None else members(read, words[split:])
            if found:
                break
        return found


@contextmanager
def _once(path: str) -> Iterator[None]:
    _looking.add(path)
    try:
        yield
    finally:
        _looking.discard(path)


def _named_like_a_module(words: list[str]) -> list[Meaning]:
    """A package may bind what its module defines to the module's own name: `from .tokenize import tokenize`."""
    around = _read(".".join(words[:-1])) if len(words) > 1 else None
    if around is None or not any(one.imported != ".".join(words) for one in around.bound(words[-1])):
        return []
    return members(around, words[-1:])


def _read(module: str) -> Source | None:
    """None also where Python itself could not read the module; it says so when the module is imported."""
    try:
        return modules.source(module)
    except (SyntaxError, UnicodeDecodeError, ValueError):
        return None


def members(source: Source, words: list[str], scope: str = "", *, asked: bool = True, before: int = 0) -> list[Meaning]:
    """What `words`, one inside the other, name in a module or, with `scope`, in one of its classes.

    `asked`: from outside, where a module's own `__getattr__` answers, too. `before`: when the module comes to this
    line, not once it has run.
    """
    path = f"{scope}.{words[0]}".lstrip(".")
    bound = source.bound(path, before)
    if bound:
        return [one for binding in bound for one in _followed(binding, source, path, words[1:])]
    if scope:
        return []
    if spec(f"{source.name}.{words[0]}") and len(words) > 1:
        return find(".".join([source.name, *words]))
    for star in reversed(source.stars):
        if star.partition(".")[0] in sys.stdlib_module_names:
            if hasattr(sys.modules.get(star), words[0]):
                return [Outside(".".join([star, *words]))]
            continue
        read = _read(star)
        if read is None:
            return [UNKNOWN]
        if read.public(words[0]) and (found := members(read, words)):
            return found
    if asked and "__getattr__" in source.bindings:
        listed = modules.stub(source.name)
        return (members(listed, words, asked=False) if listed else []) or [UNKNOWN]
    return [UNKNOWN] if {words[0], modules.ANY_NAME} & source.stored else []


def _followed(binding: Binding, source: Source, path: str, rest: list[str]) -> list[Meaning]:
    if binding.imported:
        return find(".".join([binding.imported, *rest]))
    value = getattr(binding.node, "value", None)
    if isinstance(binding.node, ast.Assign | ast.AnnAssign) and isinstance(value, ast.Name | ast.Attribute):
        key = f"{source.name}:{path}"
        if key in _looking:
            return [UNKNOWN]
        with _once(key):
            found = resolve(value, binding.scope, source)
        return [one for meaning in found for one in inside(meaning, rest)]
    made = Defined(f"{source.name}.{path}", binding.node, binding.scope, source, binding.inner)
    return inside(made, rest)


def inside(meaning: Meaning, words: list[str]) -> list[Meaning]:
    """The members of a meaning, one inside the other."""
    if not words:
        return [meaning]
    if isinstance(meaning, Outside):
        return find(".".join([meaning.path, *words]))
    if not isinstance(meaning.node, ast.ClassDef):
        return [UNKNOWN]
    if found := members(meaning.source, words, meaning.key):
        return found
    above = [one for base in meaning.node.bases for one in resolved_base(base, meaning)]
    return [found for one in above for found in inside(one, words)] or [UNKNOWN]


def resolved_base(base: ast.expr, meaning: Defined) -> list[Meaning]:
    """What a base means where the class is defined: `class Name(Name)` inherits from what had the name before."""
    return resolve(base, meaning.scope, meaning.source, before=getattr(meaning.node, "lineno", 0))


def resolve(node: ast.expr, scope: Scope, source: Source, *, before: int = 0) -> list[Meaning]:
    """What a name or a dotted name means in a scope; none where nothing binds it, UNKNOWN for any other expression.

    `before`: at this line of the module, as the bases of a class and the defaults of a function are; else later.
    """
    if isinstance(node, ast.Attribute):
        found = resolve(node.value, scope, source, before=before)
        return [one for meaning in found for one in inside(meaning, [node.attr])]
    if not isinstance(node, ast.Name):
        return [UNKNOWN]
    around = source.keys.get(id(scope), NOWHERE)
    if scope.is_class and (found := members(source, [node.id], around, before=before)):
        return found
    if node.id in _type_parameters(scope):
        return [UNKNOWN]
    found = members(source, [node.id], asked=False, before=before)
    is_own = bool(source.bound(node.id, before)) or (node.id in source.stored and node.id not in source.bindings)
    if found in ([], [UNKNOWN]) and hasattr(builtins, node.id) and not is_own:
        return [Outside(f"builtins.{node.id}")]
    return found


def _type_parameters(scope: Scope | None) -> set[str]:
    """The names that `class Name[T]` brings, of the class and of those around it."""
    names: set[str] = set()
    while scope is not None and scope.is_class:
        names |= {one.name for one in scope.type_parameters}
        scope = scope.parent if isinstance(scope.parent, Scope) else None
    return names
