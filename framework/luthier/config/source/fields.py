"""Constructors that are made from a class's fields: dataclasses, NamedTuple, TypedDict, attrs and pydantic."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from luthier.config.source.annotations import known, quoted
from luthier.config.source.defaults import of_field, value_of
from luthier.config.source.parameters import Parameter, Place, Taken
from luthier.config.source.resolution import Defined, Meaning, Outside, resolve, resolved_base

DATACLASS = "dataclasses.dataclass"
_ATTRS = {
    "attrs.define", "attrs.frozen", "attrs.mutable", "attr.define", "attr.frozen", "attr.mutable", "attr.s",
    "attr.attrs", "attr.dataclass", "attr.attributes", "pydantic.dataclasses.dataclass",
}  # fmt: skip
MODELS = {"pydantic.BaseModel", "pydantic.main.BaseModel", "msgspec.Struct"}
_HIDDEN = {"ClassVar"}


@dataclass(frozen=True, slots=True)
class _Made:
    """How a decorator makes the constructor: `exact` as Python's own dataclass does."""

    keyword_only: bool
    init: bool
    exact: bool


def makes_constructor(meaning: Meaning) -> bool:
    if not isinstance(meaning, Defined):
        return False
    made = _made(meaning)
    return (made is not None and made.init) or _is_named_tuple(meaning)


def _made(meaning: Defined) -> _Made | None:
    for node in getattr(meaning.node, "decorator_list", []):
        function = node.func if isinstance(node, ast.Call) else node
        words = {one.arg: ast.unparse(one.value) for one in node.keywords} if isinstance(node, ast.Call) else {}
        paths = {one.path for one in resolve(function, meaning.scope, meaning.source)} | written(function, meaning)
        if paths & {DATACLASS, *_ATTRS}:
            unread = None in words or any(
                value not in {"True", "False"} for key, value in words.items() if key in {"kw_only", "init"}
            )
            init = words.get("init") != "False"
            return _Made(words.get("kw_only") == "True", init, paths == {DATACLASS} and not unread)
    return None


def written(node: ast.expr, meaning: Defined) -> set[str]:
    """A decorator's path as its import says it, where the library cannot be followed further."""
    head, dot, rest = ast.unparse(node).partition(".")
    imported = [one.imported for one in meaning.source.bound(head)]
    return {f"{one}{dot}{rest}" for one in imported if one}


def of_class(meaning: Meaning, order: Sequence[Meaning]) -> Taken:
    """The constructor of a class with fields, those of the classes above it first."""
    assert isinstance(meaning, Defined)
    if _is_named_tuple(meaning):
        return Taken(tuple(_fields(meaning, keyword_only=False)))
    found: dict[str, Parameter | None] = {}
    made, unread = _made(meaning), False
    for one in reversed(order):
        if isinstance(one, Outside):
            unread |= known(one.path) not in {"object", "Generic", "Protocol", "ABC"}
            continue
        how = _made(one)
        if how is not None:
            found.update(dict(_all_fields(one, keyword_only=how.keyword_only)))
    taken = Taken(tuple(one for one in found.values() if one is not None))
    return taken if made is not None and made.exact and not unread else taken.unsure()


def of_outside(order: Sequence[Meaning], base: Outside) -> Taken:
    """A class above which stands something that is not read: pydantic's models have fields, all else is open."""
    if base.path not in MODELS:
        return Taken(open=True, certain=False)
    named: dict[str, Parameter] = {}
    for one in reversed(order[:-1]):
        if isinstance(one, Defined):
            named.update({field.name: field for field in _fields(one, keyword_only=True)})
    return Taken(tuple(named.values())).unsure()


def _fields(meaning: Defined, *, keyword_only: bool) -> Iterator[Parameter]:
    yield from (one for _, one in _all_fields(meaning, keyword_only=keyword_only) if one is not None)


def _all_fields(meaning: Defined, *, keyword_only: bool) -> Iterator[tuple[str, Parameter | None]]:
    """(name, parameter) of each field; None for one that the constructor does not take."""
    place = Place(meaning.inner or meaning.scope, meaning.source)
    assert isinstance(meaning.node, ast.ClassDef)
    for item in _statements(meaning.node.body):
        if isinstance(item, ast.Assign) and isinstance(item.value, ast.Call) and len(item.targets) == 1:
            written = ast.unparse(item.value.func)  # `size = attr.ib(default=3)`
            if isinstance(item.targets[0], ast.Name) and written in {"attr.ib", "attr.attrib", "ib", "attrib"}:
                name = item.targets[0].id
                yield name, Parameter(name, "positional", None, of_field(item.value, place), place, field=True)
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        outer = _outer(item.annotation, place)
        if "dataclasses.KW_ONLY" in outer:
            keyword_only = True
            continue
        if outer & _HIDDEN:
            continue
        words, default = {}, item.value
        if isinstance(default, ast.Call) and _is_field(default, place):
            words = {word.arg: ast.unparse(word.value) for word in default.keywords}
            value = of_field(default, place)
        else:
            value = value_of(default, place)
        name = words.get("alias", "").strip("'\"") or item.target.id
        kind = "keyword" if keyword_only and words.get("kw_only") != "False" else "positional"
        kind = "keyword" if words.get("kw_only") == "True" else kind
        parameter = Parameter(name, kind, item.annotation, value, place, field=True)  # type: ignore[arg-type]
        yield item.target.id, None if words.get("init") == "False" else parameter


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a class, those under a condition too."""
    for one in body:
        yield one
        if isinstance(one, ast.If):
            yield from _statements(one.body)


def _outer(node: ast.expr, place: Place) -> set[str]:
    """The names that stand outermost in an annotation: `Annotated[ClassVar[int], …]` has two."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        parsed = quoted(node.value)
        return set() if parsed is None else _outer(parsed, place)
    named = node.value if isinstance(node, ast.Subscript) else node
    found = {known(one.path) for one in resolve(named, place.scope, place.source)}
    if isinstance(node, ast.Subscript) and found & {"Annotated", "Final"}:
        inner = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
        return found | _outer(inner, place)
    return found


def _is_field(node: ast.Call, place: Place) -> bool:
    paths = {one.path for one in resolve(node.func, place.scope, place.source)}
    head, dot, rest = ast.unparse(node.func).partition(".")
    paths |= {f"{one.imported}{dot}{rest}" for one in place.source.bound(head)}
    return bool(paths & {"dataclasses.field", "attrs.field", "attr.field", "attr.ib", "pydantic.Field"}) or ast.unparse(
        node.func
    ).rpartition(".")[2] in {"field", "Field", "ib"}


def _is_named_tuple(meaning: Defined) -> bool:
    bases = getattr(meaning.node, "bases", [])
    return any(known(one.path) == "NamedTuple" for base in bases for one in resolved_base(base, meaning))


def is_typed_mapping(order: Sequence[Meaning]) -> bool:
    return any(known(one.path) == "TypedDict" for one in order)


def of_typed_mapping(meaning: Defined) -> Iterator[Parameter]:
    """The keys of a TypedDict, of those above it too; what may be left out is null by default."""
    node = meaning.node
    assert isinstance(node, ast.ClassDef)
    for base in node.bases:
        for one in resolved_base(base, meaning):
            if isinstance(one, Defined) and isinstance(one.node, ast.ClassDef):
                yield from of_typed_mapping(one)
    total = not any(word.arg == "total" and ast.unparse(word.value) == "False" for word in node.keywords)
    for key in _fields(meaning, keyword_only=True):
        outer = _outer(key.annotation, key.place) if key.annotation is not None else set()
        needed = "Required" in outer or (total and "NotRequired" not in outer)
        yield key if needed else replace(key, default=None)


def of_unpacked(node: ast.expr | None, place: Place) -> list[Parameter]:
    """The settings that `**settings: Unpack[Options]` takes."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = quoted(node.value)
    if not isinstance(node, ast.Subscript) or "Unpack" not in _outer(node, place):
        return []
    found = resolve(node.slice, place.scope, place.source)
    classes = [one for one in found if isinstance(one, Defined) and isinstance(one.node, ast.ClassDef)]
    return [one for kind in classes for one in of_typed_mapping(kind)]
