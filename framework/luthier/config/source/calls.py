"""What a target takes when it is called: a function, a class, a partial; what it hands on to others included."""

from __future__ import annotations

import ast
from dataclasses import replace

from luthier.config.settings import REQUIRED
from luthier.config.source import decorators, fields, handed_on
from luthier.config.source.annotations import known
from luthier.config.source.modules import Function
from luthier.config.source.parameters import DYNAMIC, Parameter, Place, Taken, either, value_of
from luthier.config.source.resolution import UNKNOWN, Defined, Meaning, Outside, inside, resolve

PLAIN_BASES = {
    "object", "Generic", "Protocol", "ABC", "Callable", "Iterator", "Iterable", "Sequence", "Mapping", "Hashable",
    "Collection", "Container", "Sized", "Awaitable", "contextlib.ContextDecorator", "enum.Enum",
}  # fmt: skip
"""Classes above others whose constructor takes nothing."""
PLAIN_METACLASSES = {"ABCMeta", "type", "enum.EnumMeta", "enum.EnumType"}
_DEEPEST = 20


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


def of_function(
    meaning: Defined, *, skip: int = 0, mro: list[Meaning] | None = None, at: int = 0, depth: int = 0
) -> Taken:
    """A function's own parameters, and those of what it hands its `**settings` on to.

    `skip` leaves out `self`; `mro` and `at` say which class `super()` in it goes on from.
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
    return _with_parts(taken, meaning, mro, at, depth)


def _with_parts(taken: Taken, meaning: Defined, mro: list[Meaning] | None, at: int, depth: int) -> Taken:
    """With what `*parts` and `**settings` reach, where they are handed on to something that can be read."""
    assert isinstance(meaning.node, Function)
    use = handed_on.uses(meaning.node)
    place = Place(meaning.scope, meaning.source)
    named = [Parameter(name, "keyword", None, value_of(default, place), place) for name, default in use.named]
    optional = [replace(one, default=None) if one.default == REQUIRED else one for one in named]
    if use.call is None:
        return replace(taken.with_more(optional), open=use.open)
    reached = _called(use.call, meaning, mro, at, depth)
    rest = handed_on.left(use, reached)
    found = taken.with_more(optional).with_more(rest)
    closed = not meaning.node.args.kwarg
    return replace(found, open=not closed and (reached.open or use.open), certain=taken.certain and reached.certain)


def _called(call: ast.Call, meaning: Defined, mro: list[Meaning] | None, at: int, depth: int) -> Taken:
    """What is called with `**settings`: `super().__init__`, `Above.__init__`, another class or function."""
    function = call.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Call) and mro is not None:
        if ast.unparse(function.value.func) != "super" or function.attr != "__init__":
            return DYNAMIC
        return constructor(mro, at + 1, depth + 1)
    assert isinstance(meaning.node, Function)
    first = function
    while isinstance(first, ast.Attribute):
        first = first.value
    if not isinstance(first, ast.Name) or first.id in handed_on.locals_of(meaning.node):
        return DYNAMIC
    if isinstance(function, ast.Attribute) and function.attr == "__init__":
        above = resolve(function.value, meaning.scope, meaning.source)
        return either([_constructor_of(one, depth) for one in above])
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
    new = _first(order, "__new__")
    if new and not any(_has_constructor(one) for one in order):
        made = either([of_function(one, skip=1, depth=depth) for one in new if isinstance(one.node, Function)])
    if fields.is_typed_mapping(order):
        made = Taken(tuple(fields.of_typed_mapping(meaning)))
    patched = any(isinstance(one, Defined) and one.key in one.source.patched for one in order)
    if patched or _made_otherwise(order):
        return made.unsure()
    return _decorated(made, meaning)


def _decorated(taken: Taken, meaning: Defined) -> Taken:
    return taken if decorators.keep_signature(meaning) else taken.unsure()


def _has_constructor(one: Meaning) -> bool:
    if isinstance(one, Outside):
        return known(one.path) not in PLAIN_BASES
    return bool(_own(one, "__init__")) or fields.makes_constructor(one)


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
        if own := _own(one, "__init__"):
            taken = either([_init(found, order, index, depth) for found in own])
            return taken if index == 0 else _decorated(taken, one)
        if fields.makes_constructor(one):
            return fields.of_class(one, order[index:])
    return Taken()


def _init(found: Meaning, order: list[Meaning], index: int, depth: int) -> Taken:
    if not isinstance(found, Defined) or not isinstance(found.node, Function):
        return DYNAMIC
    taken = of_function(found, skip=1, mro=order, at=index, depth=depth)
    return _decorated(taken, found)


def _own(meaning: Meaning, name: str) -> list[Meaning]:
    """What the class's own body binds to a name."""
    if not isinstance(meaning, Defined):
        return []
    if not meaning.source.bound(f"{meaning.key}.{name}"):
        return []
    return inside(meaning, [name])


def _first(order: list[Meaning], name: str) -> list[Defined]:
    """What the first class in the order that binds the name binds to it."""
    own = ([bound for bound in _own(one, name) if isinstance(bound, Defined)] for one in order)
    return next(filter(None, own), [])


def _made_otherwise(order: list[Meaning]) -> bool:
    """Whether a metaclass with a `__call__`, or `__init_subclass__`, may change how the class is called."""
    for place, one in enumerate(order):
        if not isinstance(one, Defined) or not isinstance(one.node, ast.ClassDef):
            continue
        for word in one.node.keywords:
            if word.arg != "metaclass":
                continue
            for kind in resolve(word.value, one.scope, one.source):
                if isinstance(kind, Outside) and known(kind.path) not in PLAIN_METACLASSES:
                    return True
                if isinstance(kind, Defined) and _first(linear(kind), "__call__"):
                    return True
        for hook in _own(one, "__init_subclass__") if place else ():
            if isinstance(hook, Defined) and "__init__" in ast.unparse(hook.node).replace("__init_subclass__", ""):
                return True
    return False


def linear(meaning: Defined, depth: int = 0) -> list[Meaning]:
    """The method resolution order (C3), with what cannot be read in it as Outside."""
    assert isinstance(meaning.node, ast.ClassDef)
    rows: list[list[Meaning]] = []
    for base in meaning.node.bases:
        named = base.value if isinstance(base, ast.Subscript) else base
        found = resolve(named, meaning.scope, meaning.source)
        one: Meaning = found[0] if len(found) == 1 else Outside("?")
        is_class = isinstance(one, Defined) and isinstance(one.node, ast.ClassDef)
        if one == UNKNOWN and (models := fields.written(named, meaning) & fields.MODELS):
            one = Outside(models.pop())
        if isinstance(one, Defined) and (not is_class or one.path in fields.MODELS):
            one = Outside(one.path if is_class else "?")
        rows.append(linear(one, depth + 1) if isinstance(one, Defined) and depth < _DEEPEST else [one])
    rows.append([row[0] for row in rows])
    order: list[Meaning] = [meaning]
    while rows := [row for row in rows if row]:
        head = next((row[0] for row in rows if not any(row[0] in other[1:] for other in rows)), rows[0][0])
        order.append(head)
        rows = [[one for one in row if one != head] for row in rows]
    return order


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
