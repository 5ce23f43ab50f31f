"""What griffe reads of `luthier.api` and `luthier.testing`: definitions, members, signatures and docstrings.

`framework/luthier/api/__init__.pyi` lists the names and their modules; nothing of them is imported.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import griffe

from luthier import api

ROOT = Path(__file__).parents[2]
WIDTH = 100
SPECIAL = {"__call__", "__iter__", "__len__", "__getitem__", "__contains__", "__enter__", "__exit__"}
KINDS = griffe.ParameterKind


@cache
def tree() -> Any:
    """The core, read and not imported."""
    extensions = griffe.load_extensions(Pairs)
    return griffe.load(
        "luthier",
        search_paths=[ROOT / "framework"],
        allow_inspection=False,
        resolve_aliases=True,
        extensions=extensions,
    )


class Pairs(griffe.Extension):
    """Makes attributes of `self.a, self.b = …` in a constructor, which griffe leaves out."""

    def on_class_instance(self, *, node: ast.AST, cls: Any, **_: Any) -> None:
        constructors = [one for one in getattr(node, "body", []) if getattr(one, "name", "") == "__init__"]
        for statement in (one for constructor in constructors for one in ast.walk(constructor)):
            if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Tuple):
                continue
            for target in statement.targets[0].elts:
                if ast.unparse(target).startswith("self.") and target.attr not in cls.members:  # type: ignore[attr-defined]
                    line = statement.lineno
                    made = griffe.Attribute(target.attr, lineno=line, endlineno=line, parent=cls)  # type: ignore[attr-defined]
                    made.labels.add("instance-attribute")
                    cls.set_member(made.name, made)


def homes() -> dict[str, str]:
    """The module of each public name."""
    return dict.fromkeys(["VERSION", "target_name", "homes"], "luthier.api") | api.homes()


def names() -> dict[str, Any]:
    """Each public name with its definition; None where the module has none that can be read."""
    return {name: _definition(home, name) for name, home in homes().items()}


def suites() -> dict[str, Any]:
    """What the modules of `luthier.testing` define, under their whole names."""
    modules = [module for module in tree()["testing"].members.values() if not module.is_alias and module.is_module]
    return {
        f"{module.path}.{name}": member
        for module in modules
        for name, member in module.members.items()
        if not member.is_alias and not name.startswith("_") and (member.is_class or member.is_function)
    }


def _definition(home: str, name: str) -> Any:
    try:
        found = tree()[f"{home.removeprefix('luthier').lstrip('.')}.{name}".lstrip(".")]
    except KeyError:
        return None
    return found.final_target if found.is_alias else found


def kind_of(entry: Any) -> str:
    if entry.is_function:
        return "context manager" if "contextmanager" in _decorators(entry) else "function"
    if entry.is_attribute:
        return _kind_of_value(entry)
    bases = {str(base) for place in [entry, *entry.mro()] for base in place.bases}
    bases -= {"Protocol"} if "Protocol" not in map(str, entry.bases) else set()
    if "Protocol" in bases:
        return "protocol"
    if "Exception" in bases:
        return "exception"
    if "dataclass" in entry.labels:
        return "frozen dataclass" if "frozen=True" in _decorators(entry) else "dataclass"
    return "abstract class" if any("abstractmethod" in _decorators(one) for one in public(entry).values()) else "class"


def _kind_of_value(entry: Any) -> str:
    if "Marker" in str(entry.value):
        return "decorator"
    return "constant" if entry.name.upper() == entry.name or entry.name.startswith("__") else "type"


def field_doc(field: Any, owner: Any) -> str:
    """Its docstring or comment, else the sentence of the class that names it."""
    if own := " ".join(doc(field, owner).split()):
        return own
    named = re.compile(rf"`{field.name}`|\b{field.name}:|\b{field.name}\.\.|\b{field.name} (?:int|float|bool)\d*\b")
    for place in [entry for base in [owner, *owner.mro()] for entry in (base, base.members.get("__init__")) if entry]:
        for paragraph in re.split(r"\n\s*\n", doc(place)):
            for sentence in re.split(r"(?<=[.;])\s+", " ".join(paragraph.split())):
                if named.search(sentence):
                    return f"{sentence.rstrip(';').rstrip('.')}."
    return ""


def _decorators(entry: Any) -> str:
    return " ".join(str(one.value) for one in getattr(entry, "decorators", ()))


def type_of(field: Any, owner: Any) -> str:
    """Its annotation, or that of the parameter of the same name, or the type of its plain value."""
    if field.annotation is not None:
        return str(field.annotation)
    if any(one.name == field.name and one.annotation is not None for one in owner.parameters):
        return str(owner.parameters[field.name].annotation)
    value = str(field.value)
    return {"True": "bool", "False": "bool"}.get(value) or (
        "int" if value.isdecimal() else "str" if value.startswith("'") else ""
    )


def default_of(field: Any) -> str:
    value = "" if field.value is None or "class-attribute" not in field.labels else str(field.value)
    factory = re.fullmatch(r"field\(default_factory=(lambda: )?(.+)\)", value)
    return value if factory is None else factory[2] if factory[1] else f"{factory[2]}()"


def public(entry: Any) -> dict[str, Any]:
    """The public members of a class, its own first, then those that it inherits from classes of luthier."""
    found: dict[str, Any] = {}
    for owner in [entry, *entry.mro()]:
        for name, member in owner.members.items():
            shown = name in SPECIAL or not name.startswith("_")
            if shown and name not in found and not member.is_alias and not member.is_module:
                found[name] = member
    return found


def is_field(member: Any) -> bool:
    return bool(member.is_attribute) and "property" not in member.labels


def doc(entry: Any, owner: Any = None) -> str:
    """The docstring, that of what it overrides, or the comment behind a field."""
    for place in [entry, *_overridden(entry, owner)]:
        if place.docstring:
            return str(place.docstring.value).strip()
    comment = re.search(r"\s# (?!noqa|type:|fmt:)(.+)$", _line(entry)) if entry.is_attribute else None
    return comment[1].strip() if comment else ""


def _overridden(entry: Any, owner: Any) -> Iterator[Any]:
    if owner is not None:
        yield from (base.members[entry.name] for base in owner.mro() if entry.name in base.members)


def _line(entry: Any) -> str:
    return str(entry.lines[0]) if entry.lines else ""


def signature(name: str, entry: Any) -> str:
    """One line of Python, or one for each parameter where that is too long."""
    if entry.is_attribute:
        if "property" in entry.labels:
            return f"{name}: {entry.annotation}"
        return str(entry.source).strip()
    head, gives = f"class {name}", ""
    if entry.is_function:
        kinds = [kind for kind in ("classmethod", "staticmethod", "contextmanager") if kind in _decorators(entry)]
        head = "".join(f"@{kind}\n" for kind in kinds) + f"def {name}"
        gives = f" -> {entry.returns}" if entry.returns is not None else ""
    elif kind_of(entry) == "protocol":
        return f"class {name}(Protocol)"
    parameters = [one for one in _parameters(entry) if one not in ("self", "cls")]
    parameters = [one if '"' in one else one.replace("'", '"') for one in parameters]
    line = f"{head}({', '.join(parameters)}){gives}"
    if len(line.splitlines()[-1]) <= WIDTH:
        return line
    return "\n".join([f"{head}(", *(f"    {one}," for one in parameters), f"){gives}"])


def _parameters(entry: Any) -> Iterator[str]:
    """Each parameter with its annotation and default, and the `/` and `*` between the kinds."""
    previous = None
    for one in entry.parameters:
        if previous is KINDS.positional_only and one.kind is not previous:
            yield "/"
        if one.kind is KINDS.keyword_only and previous not in (KINDS.keyword_only, KINDS.var_positional):
            yield "*"
        stars = {KINDS.var_positional: "*", KINDS.var_keyword: "**"}.get(one.kind, "")
        annotation = f": {one.annotation}" if one.annotation is not None else ""
        value = re.sub(r"^\(lambda: (.+)\)\(\)$", r"\1", str(one.default))
        default = "" if stars or one.default is None else f"{' = ' if annotation else '='}{value}"
        yield f"{stars}{one.name}{annotation}{default}"
        previous = one.kind


def undocumented() -> Iterator[str]:
    """Public names, methods and properties without a docstring, and fields that neither they nor the class explain."""
    for name, entry in {**names(), **suites()}.items():
        if entry is None or not doc(entry):
            yield name
        elif entry.is_class:
            for key, member in public(entry).items():
                explained = field_doc(member, entry) if is_field(member) else doc(member, entry)
                if not key.startswith("test_") and not explained:
                    yield f"{name}.{key}"
