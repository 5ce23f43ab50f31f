"""What an annotation means, read from its source: through aliases, imports and other modules, nothing imported.

What cannot be known so is Any here; the real signature checks it before the part is built.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from luthier.config.source.enumerations import enumeration, is_enumeration
from luthier.config.source.modules import Scope, Source
from luthier.config.source.resolution import Defined, Meaning, Outside, resolve, resolved_base
from luthier.config.type_hints import Part, key_type

_TYPING = ("typing.", "typing_extensions.", "collections.abc.", "builtins.", "collections.", "types.", "abc.")
_PLAIN: dict[str, Any] = {
    "int": int, "float": float, "str": str, "bool": bool, "None": None, "NoneType": None, "Any": Any, "object": Any,
    "LiteralString": str, "AnyStr": str, "Text": str,
    "pathlib.Path": str, "pathlib.PurePath": str, "pathlib.PosixPath": str, "numbers.Integral": int,
    "numbers.Real": float, "numbers.Number": float,
    "Callable": Part, "Self": Part, "Protocol": Part, "NamedTuple": Part, "Iterator": Part, "Generator": Part,
}  # fmt: skip
_LISTS = {
    "list", "List", "Sequence", "MutableSequence", "Iterable", "Collection", "Container", "tuple", "Tuple", "set",
    "Set", "MutableSet", "AbstractSet", "frozenset", "FrozenSet", "deque", "Deque",
}  # fmt: skip
_MAPPINGS = {
    "dict", "Dict", "Mapping", "MutableMapping", "OrderedDict", "defaultdict", "DefaultDict", "Counter", "TypedDict",
}  # fmt: skip
_TRANSPARENT = {
    "Annotated", "Final", "ClassVar", "Required", "NotRequired", "ReadOnly", "dataclasses.InitVar", "InitVar", "Unpack",
}  # fmt: skip
_DEEPEST = 40


def type_of(node: ast.expr | None, scope: Scope, source: Source, *, free: frozenset[str] = frozenset()) -> Any:
    """The type that an annotation means in a scope; `free` are type parameters of the function itself."""
    return _Reader(scope, source, free).of(node)


def known(path: str) -> str:
    """A name of the typing vocabulary without the module that it comes from: `typing.Literal` -> `Literal`."""
    return next((path.removeprefix(start) for start in _TYPING if path.startswith(start)), path)


def quoted(text: str) -> ast.expr | None:
    """The annotation that is written as text; None where it is none."""
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None


class _Reader:
    """`inside` are the aliases that are being read: one that stands inside itself is Any there."""

    def __init__(
        self, scope: Scope, source: Source, free: frozenset[str], inside: frozenset[str] = frozenset()
    ) -> None:
        self.scope, self.source, self.free, self.inside = scope, source, free, inside

    def of(self, node: ast.expr | None) -> Any:
        if node is None:
            return Any
        if isinstance(node, ast.Constant):
            return self._constant(node.value)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return Union[self.of(node.left), self.of(node.right)]  # noqa: UP007 - built at run time
        if isinstance(node, ast.Subscript):
            return self._subscripted(node)
        if isinstance(node, ast.Starred):
            return Any
        if not isinstance(node, ast.Name | ast.Attribute):
            return Any
        if isinstance(node, ast.Name) and node.id in self.free:
            return Any
        found = resolve(node, self.scope, self.source)
        if not found:
            return Part  # nothing binds the name
        return Union[tuple(self._meant(one) for one in found)]  # noqa: UP007 - built at run time

    def _constant(self, value: object) -> Any:
        if not isinstance(value, str):
            return None if value is None else Any
        return self.of(parsed) if (parsed := quoted(value)) is not None else Any

    def _meant(self, meaning: Meaning) -> Any:
        if isinstance(meaning, Outside):
            name = known(meaning.path)
            if name in _LISTS:
                return list[Any]
            return dict[str, Any] if name in _MAPPINGS else _PLAIN.get(name, Any)
        if meaning.path in self.inside:
            return Any
        inner = _Reader(meaning.scope, meaning.source, frozenset(), self.inside | {meaning.path})
        if isinstance(meaning.node, ast.ClassDef):
            return class_type(meaning)
        if isinstance(meaning.node, ast.Assign | ast.AnnAssign):
            return inner.assigned(meaning)
        return inner.of(getattr(meaning.node, "value", None))  # `type Name = …`

    def assigned(self, meaning: Defined) -> Any:
        value = getattr(meaning.node, "value", None)
        if isinstance(value, ast.Constant) and not isinstance(value.value, str | None):
            return Any
        return self._called(value, meaning) if isinstance(value, ast.Call) else self.of(value)

    def _called(self, node: ast.Call, meaning: Defined) -> Any:
        """`NewType`, `TypeVar`, `TypeAliasType`, and what makes classes from values."""
        makers = {known(one.path) for one in resolve(node.func, self.scope, self.source)}
        arguments = {word.arg: word.value for word in node.keywords}
        if makers & {"NewType", "TypeAliasType"}:
            return self.of(node.args[1] if len(node.args) > 1 else arguments.get("tp") or arguments.get("value"))
        if "TypeVar" in makers:
            among = node.args[1:] or [arguments["bound"]] if node.args[1:] or "bound" in arguments else []
            return Union[tuple(map(self.of, among))] if among else Any  # noqa: UP007 - built at run time
        if "TypedDict" in makers:
            return dict[str, Any]
        if makers & {"NamedTuple", "namedtuple"}:
            return Part
        return enumeration(meaning) or Any if any(one.startswith("enum.") for one in makers) else Any

    def _subscripted(self, node: ast.Subscript) -> Any:
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        found = resolve(node.value, self.scope, self.source)
        if not found:
            return Part
        return Union[tuple(self._applied(one, inner) for one in found)]  # noqa: UP007 - built at run time

    def _applied(self, meaning: Meaning, inner: list[ast.expr]) -> Any:
        if isinstance(meaning, Defined):  # a generic class or alias: its parameters are its own
            return self._meant(meaning)
        name = known(meaning.path)
        if name == "Literal":
            return self._literal(inner)
        if name in {"Optional", "Union"}:
            types = [self.of(item) for item in inner]
            return Union[tuple([*types, None] if name == "Optional" else types)]  # noqa: UP007 - built at run time
        if name in _TRANSPARENT:
            return self.of(inner[0])
        if name in _MAPPINGS:
            key, value = key_type(self.of(inner[0])), int if name == "Counter" else self.of(inner[-1])
            return dict[key, value]  # type: ignore[valid-type]
        if name in {"tuple", "Tuple"}:
            items = [one for one in inner if not (isinstance(one, ast.Constant) and one.value is ...)]
            types = [self.of(one) for one in items if not isinstance(one, ast.Tuple)] or [Any]
            return list[Union[tuple(types)]]  # type: ignore[misc]  # noqa: UP007 - built at run time
        return list[self.of(inner[0])] if name in _LISTS else _PLAIN.get(name, Any)  # type: ignore[misc]

    def _literal(self, inner: list[ast.expr]) -> Any:
        """A Literal of plain values, of members of an Enum, and of other Literals."""
        values: list[Any] = []
        for item in inner:
            try:
                values.append(ast.literal_eval(item))
                continue
            except ValueError:
                pass
            found = list(self._values(item))
            if not found:
                return Any
            values += found
        return Literal[tuple(values)]

    def _values(self, item: ast.expr) -> Iterator[Any]:
        if isinstance(item, ast.Attribute):
            for owner in resolve(item.value, self.scope, self.source):
                kind = class_type(owner) if isinstance(owner, Defined) and is_enumeration(owner) else None
                if isinstance(kind, enum.EnumMeta) and item.attr in kind.__members__:
                    yield kind.__members__[item.attr]
                    return
        meant = self.of(item)
        if get_origin(meant) is Literal:
            yield from get_args(meant)


def class_type(meaning: Defined) -> Any:
    """What a class stands for in a recipe: members of an Enum, a mapping for a TypedDict, else a part."""
    if is_enumeration(meaning):
        return enumeration(meaning) or Any
    above = {known(one) for one in _ancestors(meaning, 0)}
    if "TypedDict" in above:
        return dict[str, Any]
    if above & ({"int", "float", "str", "bool", "pathlib.Path"} | _LISTS - {"Iterable", "Container"} | _MAPPINGS):
        return Any  # a class of plain values: what it takes is its own
    return Part


def _ancestors(meaning: Defined, depth: int) -> Iterator[str]:
    for base in meaning.node.bases if isinstance(meaning.node, ast.ClassDef) and depth < _DEEPEST else ():
        name = base.value if isinstance(base, ast.Subscript) else base
        for one in resolved_base(name, meaning):
            yield one.path
            if isinstance(one, Defined):
                yield from _ancestors(one, depth + 1)
