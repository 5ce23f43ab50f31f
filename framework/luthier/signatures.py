"""What a part can be told, read from its source without importing it.

Positional parameters are parts, keyword-only parameters are settings. Reading the source instead of importing the
module keeps `explain`, `plan` and a mistyped value under a second: most modules of parts import torch.
"""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union

from luthier.errors import PluginError, RecipeError
from luthier.nearest import nearest

REQUIRED = "???"
_PLAIN: dict[str, Any] = {
    "int": int, "float": float, "str": str, "bool": bool, "None": None, "Any": Any, "Path": str,
    "list": list, "dict": dict, "tuple": tuple, "Mapping": dict, "Sequence": list, "Iterable": list,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setting:
    """A keyword-only parameter: its annotation as written, its default (REQUIRED where there is none), its type."""

    name: str
    annotation: str
    default: Any
    type: Any


@dataclass(frozen=True, slots=True)
class Signature:
    """A target's parts and settings, its docstring and where it stands."""

    target: str
    parts: tuple[str, ...]
    settings: dict[str, Setting] = field(default_factory=dict)
    doc: str = ""
    file: Path = Path()
    line: int = 0

    def check(self, given: dict[str, Any], *, at: str) -> list[RecipeError]:
        """What is wrong with the settings in `given`: unknown names, values of the wrong type, required ones missing."""
        return [
            *(self._unknown(key, at) for key in given if not _is_special(key) and key not in self.settings),
            *filter(None, (self._mistyped(key, value, at) for key, value in given.items() if key in self.settings)),
        ]

    def _unknown(self, key: str, at: str) -> RecipeError:
        way_out = nearest(key, self.settings, f"{self.target.rsplit('.', 1)[-1]} can be told")
        return RecipeError(f"There is no setting {f'{at}.{key}'!r}.", where=f"{at}.{key}", hint=way_out)

    def _mistyped(self, key: str, value: Any, at: str) -> RecipeError | None:
        setting = self.settings[key]
        if value == REQUIRED:
            return RecipeError(f"{at}.{key} must be given.", where=f"{at}.{key}", hint=f"Add {at}.{key}=… .")
        if setting.type is Any or _is_part(value) or fits(value, setting.type):
            return None
        return RecipeError(
            f"{at}.{key} is {value!r}, but must be {_readable(setting.annotation)}.", where=f"{at}.{key}"
        )


def fits(value: Any, annotation: Any) -> bool:
    """Whether pydantic accepts the value for the type; a whole number is a float, a number is no string."""
    if annotation in (int, float, str, bool):  # the common case, without importing pydantic
        if annotation is float:
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        return isinstance(value, annotation) and (annotation is bool or not isinstance(value, bool))
    return bool(_pydantic_accepts(value, annotation))


def _pydantic_accepts(value: Any, annotation: Any) -> bool:
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(annotation).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


@cache
def signature(target: str) -> Signature:
    """Read the signature of a class (its `__init__`, inherited ones too) or function; PluginError where there is none."""
    module, _, name = target.rpartition(".")
    file = _source(module, target)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = next((node for node in tree.body if getattr(node, "name", None) == name), None)
    if isinstance(found, ast.FunctionDef):
        parts, settings = _parameters(found)
    elif isinstance(found, ast.ClassDef):
        parts, settings = _constructor(found, tree, module)
    else:
        raise PluginError(f"{target!r} is named by an option file, but {file} defines no {name!r}.")
    return Signature(target, parts, settings, ast.get_docstring(found) or "", file, found.lineno)


def _source(module: str, target: str) -> Path:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError) as error:
        raise PluginError(f"The module of {target!r} cannot be found: {error}.") from error
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise PluginError(f"The module of {target!r} cannot be found.", hint="Is its plugin installed?")
    return Path(spec.origin)


def _constructor(node: ast.ClassDef, tree: ast.Module, module: str) -> tuple[tuple[str, ...], dict[str, Setting]]:
    own = next((item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)
    if own is not None:
        return _parameters(own, skip=1)
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        fields = [item for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)]
        return (), dict(_setting(item.target.id, item.annotation, item.value) for item in fields)  # type: ignore[union-attr]
    for parent in node.bases:
        target = _where_from(ast.unparse(parent), tree, module)
        if target:
            inherited = signature(target)
            return inherited.parts, inherited.settings
    return (), {}


def _where_from(name: str, tree: ast.Module, module: str) -> str | None:
    """The dotted name of a base class that this module defines or imports from luthier or a plugin."""
    name = name.partition("[")[0]
    if any(isinstance(node, ast.ClassDef) and node.name == name for node in tree.body):
        return f"{module}.{name}"
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and "luthier" in node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return f"{node.module}.{alias.name}"
    return None


def _parameters(function: ast.FunctionDef, skip: int = 0) -> tuple[tuple[str, ...], dict[str, Setting]]:
    arguments = function.args
    parts = tuple(argument.arg for argument in [*arguments.posonlyargs, *arguments.args][skip:])
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return parts, dict(_setting(argument.arg, argument.annotation, default) for argument, default in pairs)


def _setting(name: str, annotation: ast.expr | None, default: ast.expr | None) -> tuple[str, Setting]:
    written = ast.unparse(annotation) if annotation else "Any"
    return name, Setting(name, written, _value(default), _type(annotation))


def _value(node: ast.expr | None) -> Any:
    if node is None:
        return REQUIRED
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "field":  # a dataclass's default_factory
        factory = next((ast.unparse(word.value) for word in node.keywords if word.arg == "default_factory"), "")
        return {"dict": {}, "list": []}.get(factory, REQUIRED)
    try:
        value = ast.literal_eval(node)
        return list(value) if isinstance(value, tuple) else value
    except ValueError:
        return ast.unparse(node)


def _type(node: ast.expr | None) -> Any:
    """The type that an annotation means, as far as plain types go; Any for parts."""
    if isinstance(node, ast.Constant):
        return _type(ast.parse(node.value, mode="eval").body) if isinstance(node.value, str) else node.value
    if isinstance(node, ast.Name):
        return _PLAIN.get(node.id, Any)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = _type(node.left), _type(node.right)
        return Any if Any in (left, right) else Union[left, right]  # noqa: UP007 - built at run time
    if isinstance(node, ast.Subscript):
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        name = ast.unparse(node.value).rsplit(".", 1)[-1]
        if name == "Literal":
            return Literal[tuple(ast.literal_eval(item) for item in inner)]
        container = _PLAIN.get(name, Any)
        if container in (list, dict):
            return container[tuple(_type(item) for item in inner)] if inner else container
        return list if container is tuple else Any
    return Any


def _readable(annotation: str) -> str:
    if annotation.startswith("Literal["):
        return "one of " + ", ".join(str(item) for item in ast.literal_eval(f"({annotation[8:-1]},)"))
    return {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}.get(
        annotation, annotation
    )


def _is_part(value: Any) -> bool:
    return isinstance(value, dict) and "_target_" in value


def _is_special(key: str) -> bool:
    return key.startswith("_") and key.endswith("_")


