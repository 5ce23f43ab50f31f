"""What a target takes when it is called: a function, a class, a partial; what it hands on to others included."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from luthier.config.settings import REQUIRED
from luthier.config.source import decorators, fields, handed_on
from luthier.config.source.alterations import made_otherwise, metaclass
from luthier.config.source.annotations import known
from luthier.config.source.defaults import value_of
from luthier.config.source.inheritance import first, linear, own
from luthier.config.source.modules import Function
from luthier.config.source.parameters import DYNAMIC, Parameter, Place, Taken, either
from luthier.config.source.resolution import Defined, Meaning, Outside, resolve

PLAIN_BASES = {
    "object", "Generic", "Protocol", "ABC", "Callable", "Iterator", "Iterable", "Sequence", "Mapping", "Hashable",
    "Collection", "Container", "Sized", "Awaitable", "contextlib.ContextDecorator", "enum.Enum",
}  # fmt: skip
"""Classes above others whose constructor takes nothing."""
_DEEPEST = 20
Above = Mapping[str, Callable[[], Taken]]


def taken_by(meaning: Meaning, depth: int = 0) -> Taken:
    """The parameters of what a name means."""
    if isinstance(meaning, Outside) or depth > _DEEPEST:
        return DYNAMIC
    if isinstance(meaning.node, ast.ClassDef):
        return of_class(meaning, depth)
    if isinstance(meaning.node, Function):
        bound = meaning.scope.is_class and "classmethod" in map(ast.unparse, meaning.node.decorator_list)
        return _decorated(of_function(meaning, skip=int(bound), depth=depth), meaning)
    return _of_partial(meaning, depth)


def of_function(meaning: Defined, *, skip: int = 0, above: Above | None = None, depth: int = 0) -> Taken:
    """A function's own parameters, and those of what it hands its `**settings` on to.

    `skip` leaves out `self`; `above` says what the methods of `super()` in it take.
    """
    node = meaning.node
    assert isinstance(node, Function)
    free = frozenset(str(getattr(one, "name", "")) for one in getattr(node, "type_params", []))
    place = Place(meaning.scope, meaning.source, free)
    words = node.args
    listed = [*words.posonlyargs, *words.args]
    defaults = [None] * (len(listed) - len(words.defaults)) + list(words.defaults)
    own = [
        Parameter(
            argument.arg,
            "positional only" if index < len(words.posonlyargs) else "positional",
            argument.annotation,
            value_of(default, place),
            place,
        )
        for index, (argument, default) in enumerate(zip(listed, defaults, strict=True))
    ][skip:]
    own += [
        Parameter(argument.arg, "keyword", argument.annotation, value_of(default, place), place)
        for argument, default in zip(words.kwonlyargs, words.kw_defaults, strict=True)
    ]
    taken = Taken(tuple(own))
    if words.kwarg is None and words.vararg is None:
        return taken
    if words.kwarg is not None and (typed := fields.of_unpacked(words.kwarg.annotation, place)):
        return taken.with_more(typed)
    return _with_parts(taken, meaning, above or {}, depth)


def _with_parts(taken: Taken, meaning: Defined, above: Above, depth: int) -> Taken:
    """With what `*parts` and `**settings` reach, where they are handed on to something that can be read."""
    assert isinstance(meaning.node, Function)
    use = handed_on.uses(meaning.node)
    place = Place(meaning.scope, meaning.source)
    named = [Parameter(name, "keyword", None, value_of(default, place), place) for name, default in use.named]
    optional = [replace(one, default=None) if one.default == REQUIRED else one for one in named]
    if use.call is None:
        return replace(taken.with_more(optional), open=use.open)
    reached = _called(use.call, meaning, above, depth)
    rest = handed_on.left(use, reached)
    found = taken.with_more(optional).with_more(rest)
    closed = not meaning.node.args.kwarg
    return replace(found, open=not closed and (reached.open or use.open), certain=taken.certain and reached.certain)


def _called(call: ast.Call, meaning: Defined, above: Above, depth: int) -> Taken:
    """What is called with `**settings`: `super().__init__`, `Above.__init__`, another class or function."""
    function = call.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Call):
        is_above = ast.unparse(function.value.func) == "super" and function.attr in above
        return above[function.attr]() if is_above else DYNAMIC
    assert isinstance(meaning.node, Function)
    first = function
    while isinstance(first, ast.Attribute):
        first = first.value
    if not isinstance(first, ast.Name) or first.id in handed_on.locals_of(meaning.node):
        return DYNAMIC
    if isinstance(function, ast.Attribute) and function.attr == "__init__":
        owners = resolve(function.value, meaning.scope, meaning.source)
        return either([_constructor_of(one, depth) for one in owners])
    module = meaning.scope if meaning.scope.is_module else meaning.source.module
    return either([taken_by(one, depth + 1) for one in resolve(function, module, meaning.source)])


def _constructor_of(meaning: Meaning, depth: int) -> Taken:
    """`Above.__init__(self, …)`: as the class is called, but for `self` in front."""
    if isinstance(meaning, Outside) or not isinstance(meaning.node, ast.ClassDef):
        return DYNAMIC
    taken = constructor(linear(meaning), 0, depth + 1)
    self = Parameter("self", "positional only", None, REQUIRED, Place(meaning.scope, meaning.source))
    return replace(taken, parameters=(self, *taken.parameters))


def of_class(meaning: Defined, depth: int = 0) -> Taken:
    """What `Class(…)` takes: by its metaclass, `__new__` and `__init__`, found as Python finds them."""
    order = linear(meaning)
    made = constructor(order, 0, depth)
    new = first(order, "__new__")
    if new and not any(_has_constructor(one) for one in order):
        made = either([of_function(one, skip=1, depth=depth) for one in new if isinstance(one.node, Function)])
    if fields.is_typed_mapping(order):
        made = Taken(tuple(fields.of_typed_mapping(meaning)))
    for kind in metaclass(order):
        if isinstance(kind, Defined) and (called := first(linear(kind), "__call__")):
            above = {"__call__": lambda within=made: within}
            made = either([of_function(one, skip=1, above=above, depth=depth) for one in called])
    patched = any(isinstance(one, Defined) and one.key in one.source.patched for one in order)
    return made.unsure() if patched or made_otherwise(order) else _decorated(made, meaning)


def _decorated(taken: Taken, meaning: Defined) -> Taken:
    return taken if decorators.keep_signature(meaning) else taken.unsure()


def _has_constructor(one: Meaning) -> bool:
    if isinstance(one, Outside):
        return known(one.path) not in PLAIN_BASES
    return bool(own(one, "__init__")) or fields.makes_constructor(one)


def constructor(order: list[Meaning], at: int, depth: int) -> Taken:
    """The `__init__` that is found from place `at` of a method resolution order on."""
    if depth > _DEEPEST:
        return DYNAMIC
    for index in range(at, len(order)):
        one = order[index]
        if isinstance(one, Outside):
            if known(one.path) in PLAIN_BASES:
                continue
            return fields.of_outside(order[: index + 1], one)
        if written := own(one, "__init__"):
            taken = either([_init(found, order, index, depth) for found in written])
            return taken if index == 0 else _decorated(taken, one)
        if fields.makes_constructor(one):
            return fields.of_class(one, order[index:])
    return Taken()


def _init(found: Meaning, order: list[Meaning], index: int, depth: int) -> Taken:
    if not isinstance(found, Defined) or not isinstance(found.node, Function):
        return DYNAMIC
    above = {"__init__": partial(constructor, order, index + 1, depth + 1)}
    taken = of_function(found, skip=1, above=above, depth=depth)
    return _decorated(taken, found)


def _of_partial(meaning: Defined, depth: int) -> Taken:
    """`Quick = functools.partial(Thing, rank=4)`: what is left of the thing's parameters; else nothing is known."""
    call = getattr(meaning.node, "value", None)
    if not isinstance(call, ast.Call) or not call.args:
        return DYNAMIC
    makers = {one.path for one in resolve(call.func, meaning.scope, meaning.source)}
    if makers != {"functools.partial"} or any(isinstance(one, ast.Starred) for one in call.args):
        return DYNAMIC
    inner = either([taken_by(one, depth + 1) for one in resolve(call.args[0], meaning.scope, meaning.source)])
    place = Place(meaning.scope, meaning.source)
    fixed = {word.arg: value_of(word.value, place) for word in call.keywords if word.arg}
    positional = [one for one in inner.parameters if one.kind != "keyword"][len(call.args) - 1 :]
    rest = [*positional, *(one for one in inner.parameters if one.kind == "keyword")]
    changed = [replace(one, kind="keyword", default=fixed[one.name]) if one.name in fixed else one for one in rest]
    return replace(inner, parameters=tuple(changed), open=inner.open or any(word.arg is None for word in call.keywords))
