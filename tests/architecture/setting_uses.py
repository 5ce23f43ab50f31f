"""Where the value of a setting ends up: followed through the source until it acts, or until nothing is left of it.

A value acts where an expression is computed from it whose result is used: it is returned, iterated over, handed on in a
call, decides a branch that does something. It does not act where it is only kept, raised, logged, asserted, or compared
in an `if` of a constructor that does nothing but raise. Where a call to a function of ours stands alone, the function
is followed.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from tests.architecture.sources import ROOT, Module, modules

CONSTRUCTORS = ("__init__", "__post_init__")
"""Where, as in plain functions, an `if` that only raises says what a setting may be; in a method it holds a limit."""

CONFIG = ROOT / "recipes" / "luthier_recipes" / "config.yaml"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Place:
    """A class or a function of ours, and the module that it stands in."""

    module: Module
    node: ast.ClassDef | ast.FunctionDef

    @property
    def bases(self) -> list[Place]:
        """The classes of ours that it inherits from, nearest first."""
        return _bases(self)

    @property
    def family(self) -> list[Place]:
        return [self, *self.bases]

    def function(self, name: str) -> tuple[Place, ast.FunctionDef] | None:
        for place in self.family:
            for one in place.node.body:
                if isinstance(one, ast.FunctionDef) and one.name == name:
                    return place, one
        return None


@cache
def _bases(place: Place) -> list[Place]:
    found = []
    for base in place.node.bases if isinstance(place.node, ast.ClassDef) else ():
        expression = base.value if isinstance(base, ast.Subscript) else base
        parent = named(place.module, ast.unparse(expression))
        if parent is not None:
            found += [parent, *parent.bases]
    return found


def place_of(target: str) -> Place:
    module, _, name = target.rpartition(".")
    found = named(modules()[module], name)
    assert found is not None, target
    return found


@cache
def named(module: Module, name: str) -> Place | None:
    """What a name stands for in a module, where it is a class or a function of ours."""
    first, _, rest = name.partition(".")
    for node in module.tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == first and not rest:
            return Place(module, node)
    for node in _imports(module):
        if node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == first:
                    inside = modules().get(f"{node.module}.{alias.name}")
                    if inside is not None and rest:
                        return named(inside, rest)
                    if not rest and node.module in modules() and modules()[node.module] is not module:
                        return named(modules()[node.module], alias.name)
    return None


def acts(target: str, setting: str) -> bool:
    """Whether the value of a setting of a class, or of a function that a recipe binds, reaches something that acts."""
    return acts_in(place_of(target), setting)


def acts_in(place: Place, setting: str) -> bool:
    """The same of a class or function in a module of any kind."""
    if isinstance(place.node, ast.FunctionDef):
        return _acts_in(place, place.node, setting, frozenset())
    found = place.function("__init__")
    if found is None:  # a dataclass: the attribute has the name of the setting
        return _is_read(place, setting, frozenset())
    owner, constructor = found
    if setting not in _parameters(constructor):
        return _acts_in_base(place, owner, constructor, setting)
    return _acts_in(owner, constructor, setting, frozenset(), of=place)


def _acts_in_base(place: Place, owner: Place, constructor: ast.FunctionDef, setting: str) -> bool:
    """Of `**settings`, handed to the constructor of a base."""
    return constructor.args.kwarg is not None and any(
        setting in _parameters(found[1]) and _acts_in(found[0], found[1], setting, frozenset(), of=place)
        for base in owner.bases
        if (found := base.function("__init__")) is not None
    )


def _parameters(function: Function) -> set[str]:
    return {one.arg for one in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)}


def _acts_in(
    place: Place, function: Function, name: str, seen: frozenset[tuple[str, str]], of: Place | None = None
) -> bool:
    """Whether a local name of a function acts; `of` is the class whose object is made, of a constructor."""
    key = (f"{place.module.name}:{function.lineno}", name)
    if key in seen:
        return False
    seen |= {key}
    parents = _parents(function)
    return any(_act(place, function, node, parents, seen, of) for node in _names(function).get(name, []))


@cache
def _imports(module: Module) -> list[ast.ImportFrom]:
    return [node for node in ast.walk(module.tree) if isinstance(node, ast.ImportFrom)]


@cache
def _names(function: Function) -> dict[str, list[ast.Name]]:
    """Where a function reads each local name."""
    found = defaultdict(list)
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found[node.id].append(node)
    return found


@cache
def _parents(function: Function) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(function) for child in ast.iter_child_nodes(node)}


def _act(
    place: Place,
    function: Function,
    node: ast.AST,
    parents: dict[ast.AST, ast.AST],
    seen: frozenset[tuple[str, str]],
    of: Place | None,
) -> bool:
    """Whether this use of a value acts: from the expression upwards to the statement that it stands in."""
    inner, outer = node, parents.get(node)
    while outer is not None and outer is not function:
        if isinstance(outer, (ast.Raise, ast.Assert)) or _is_log(outer):
            return False
        if isinstance(outer, ast.If) and inner is outer.test:
            return not (function.name in CONSTRUCTORS or place.node is function) or not _only_raises(outer)
        if isinstance(outer, (ast.Assign, ast.AnnAssign)) and inner is outer.value:
            return _kept(place, function, outer, node, seen, of)
        if isinstance(outer, ast.Expr):
            return _call_acts(place, outer.value, node, seen, of)
        if isinstance(outer, ast.stmt):
            return True
        inner, outer = outer, parents.get(outer)
    return False  # a default or a decorator


def _is_log(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[0] in {"log", "warnings", "print"}


def _only_raises(node: ast.If) -> bool:
    """Whether all that the branch does is to raise; what it computes for the message on its way does not count."""
    return not node.orelse and isinstance(node.body[-1], ast.Raise) and all(
        isinstance(one, (ast.Raise, ast.Assign)) for one in node.body
    )  # fmt: skip


def _kept(
    place: Place,
    function: Function,
    statement: ast.Assign | ast.AnnAssign,
    node: ast.AST,
    seen: frozenset[tuple[str, str]],
    of: Place | None,
) -> bool:
    for target, value in _pairs(statement):
        if not any(one is node for one in ast.walk(value)):
            continue
        if isinstance(target, ast.Attribute):
            if not (isinstance(target.value, ast.Name) and target.value.id == "self"):
                return True  # it is set on something else
            if _is_read(of or place, target.attr, seen):
                return True
        elif isinstance(target, ast.Name):
            if _acts_in(place, function, target.id, seen, of):
                return True
        else:
            names = [one.id for one in ast.walk(target) if isinstance(one, ast.Name)]
            attributes = [one.attr for one in ast.walk(target) if isinstance(one, ast.Attribute)]
            if any(_acts_in(place, function, name, seen, of) for name in names if name != "self"):
                return True
            if any(_is_read(of or place, attribute, seen) for attribute in attributes):
                return True
    return False


def _pairs(statement: ast.Assign | ast.AnnAssign) -> Iterator[tuple[ast.expr, ast.expr]]:
    """(target, value), one by one where several are assigned at once."""
    assert statement.value is not None
    for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
        if isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
            yield from zip(target.elts, statement.value.elts, strict=True)
        else:
            yield target, statement.value


def _call_acts(place: Place, call: ast.expr, node: ast.AST, seen: frozenset[tuple[str, str]], of: Place | None) -> bool:
    """Of a call that stands alone: whether the parameter acts in the function, where that is ours."""
    if not isinstance(call, ast.Call) or any(one is node for one in ast.walk(call.func)):
        return isinstance(call, (ast.Call, ast.Await, ast.Yield, ast.YieldFrom))
    name = ast.unparse(call.func)
    if name == "super().__init__":
        found = [(base, made[1]) for base in place.bases if (made := base.function("__init__")) is not None][:1]
        offset = 1
    elif (called := named(place.module, name)) is not None and isinstance(called.node, ast.FunctionDef):
        found, offset = [(called, called.node)], 0
    elif name.startswith("self.") and (method := (of or place).function(name[5:])) is not None:
        found, offset = [method], 1
    else:
        return True
    if not found:
        return True
    owner, function = found[0]
    names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)][offset:]
    given = dict(zip(names, call.args, strict=False)) | {word.arg: word.value for word in call.keywords if word.arg}
    handed = [name for name, value in given.items() if any(one is node for one in ast.walk(value))]
    return not handed or any(_acts_in(owner, function, name, seen, of or place) for name in handed)


def _is_read(place: Place, attribute: str, seen: frozenset[tuple[str, str]]) -> bool:
    """Whether an attribute acts: in a method of the class, of a base or of a subclass, or of who has the object."""
    key = (f"{place.module.name}.{place.node.name}", f"self.{attribute}")
    if key in seen:
        return False
    seen |= {key}
    classes = {one.node: one for one in (*place.family, *_heirs(place))}
    for module, owner, function, node in _loads().get(attribute, []):
        own = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
        if own and owner in classes and _act(classes[owner], function, node, _parents(function), seen, place):
            return True
        within = Place(module, owner if isinstance(owner, ast.ClassDef) else function)
        if not own and _act(within, function, node, _parents(function), seen, None):
            return True
    return False


@cache
def _loads() -> dict[str, list[tuple[Module, ast.AST, ast.FunctionDef, ast.Attribute]]]:
    """Where each attribute is read: the module, the class or module above, the function, the expression."""
    found = defaultdict(list)
    for module in modules().values():
        for owner in (module.tree, *(one for one in ast.walk(module.tree) if isinstance(one, ast.ClassDef))):
            for function in owner.body:
                if isinstance(function, ast.FunctionDef):
                    for node in ast.walk(function):
                        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                            found[node.attr].append((module, owner, function, node))
    return found


@cache
def _heirs(place: Place) -> list[Place]:
    found = []
    for module in modules().values():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef):
                one = Place(module, node)
                if node.bases and any(base.node is place.node for base in one.bases):
                    found.append(one)
    return found


def forget() -> None:
    """Look at the sources afresh."""
    for found in (named, _bases, _loads, _heirs):
        found.cache_clear()


CONFIGS = {"config", "recipe", "given", "raw"}
"""What a composed recipe is called where it is read."""


@cache
def read_from_a_recipe() -> set[str]:
    """The keys at the top of a recipe that our code reads from one, or that other keys of config.yaml refer to."""
    found = set(re.findall(r"\$\{(\w+)\}", CONFIG.read_text(encoding="utf-8")))
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and _is_recipe(node.value):
                found.add(node.attr)
            elif isinstance(node, ast.Subscript) and _is_recipe(node.value):
                found |= _text(node.slice)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                if node.func.attr in {"get", "pop"} and _is_recipe(node.func.value):
                    found |= _text(node.args[0])
                elif node.func.attr == "select" and _is_recipe(node.args[0]) and len(node.args) > 1:
                    found |= _text(node.args[1])
    return found


def _is_recipe(node: ast.expr) -> bool:
    return ast.unparse(node).rpartition(".")[2] in CONFIGS


def _text(node: ast.expr) -> set[str]:
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()
