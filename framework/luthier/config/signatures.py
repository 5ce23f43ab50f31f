"""What a part can be told, read from its source without importing it.

Positional parameters are parts, keyword-only parameters are settings. Reading the source instead of importing the
module keeps `explain`, `plan` and a mistyped value under a second: most modules of parts import torch.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from luthier.config.type_hints import Part, allowed, fits, misfit, readable
from luthier.errors import PluginError, RecipeError
from luthier.errors.suggestions import nearest
from luthier.plugins.renamed import current_target

REQUIRED = "???"


@dataclass(frozen=True, slots=True)
class Setting:
    """A keyword-only parameter: its annotation as written, its default (REQUIRED where there is none), its type."""

    name: str
    annotation: str
    default: Any
    type: Any

    @property
    def words(self) -> str:
        return readable(self.type)


@dataclass(frozen=True, slots=True)
class Signature:
    """A target's parts and settings, its docstring, where it stands, and the packages that it alone needs."""

    target: str
    parts: tuple[str, ...]
    settings: dict[str, Setting] = field(default_factory=dict)
    doc: str = ""
    file: Path = Path()
    line: int = 0
    needs: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.target.rsplit(".", 1)[-1]

    def check(self, given: dict[str, Any], *, at: str) -> list[RecipeError]:
        """What is wrong with the settings in `given`: unknown names, values of the wrong type, what is missing."""
        said = {str(key): value for key, value in given.items() if not _is_special(str(key))}
        parts = [key for key in self.parts if fits(said.get(key), Part)]  # a nested question may answer one
        unknown = [self._unknown(key, at) for key in said if key not in self.settings and key not in parts]
        told = {key: value for key, value in said.items() if key in self.settings and value != REQUIRED}
        wrong = [misfit(value, self.settings[key].type, f"{at}.{key}") for key, value in told.items()]
        missing = [name for name, setting in self.settings.items() if said.get(name, setting.default) == REQUIRED]
        return [
            *unknown,
            *(_mistyped(*one) for one in wrong if one),
            *(MissingSettingError.at(f"{at}.{name}") for name in missing),
        ]

    def _unknown(self, key: str, at: str) -> RecipeError:
        hint = nearest(f"{at}.{key}", [f"{at}.{name}" for name in self.settings], f"{self.name} can be told")
        return RecipeError(f"There is no setting {f'{at}.{key}'!r}.", where=f"{at}.{key}", hint=hint)


class MissingSettingError(RecipeError):
    """A setting without a default that nobody has given."""

    @classmethod
    def at(cls, path: str) -> MissingSettingError:
        return cls(f"{path} must be given.", where=path, hint=f"Add {path}=… .")


def _mistyped(path: str, value: Any, expected: Any) -> RecipeError:
    words = readable(expected)
    hint = f"Quote it to have text: {path}=\"'{value}'\"." if words.startswith("text") else ""
    hint = f"Choose an answer for it: +QUESTION@{path}=… ." if expected is Part else hint
    return RecipeError(f"{path} is {value!r}, but must be {words}.", where=path, hint=hint)


@cache
def signature(target: str) -> Signature:
    """Read the signature of a function, or of a class (its `__init__`, inherited ones too); PluginError without one."""
    module, _, name = current_target(target).rpartition(".")
    file = _source(module, target)
    source = _Module(module, ast.parse(file.read_text(encoding="utf-8")))
    found = next((node for node in source.tree.body if getattr(node, "name", None) == name), None)
    if found is None and (elsewhere := source.imported(name)):
        return signature(elsewhere)
    if isinstance(found, ast.FunctionDef):
        parts, settings = source.parameters(found)
        needs = {}
    elif isinstance(found, ast.ClassDef):
        parts, settings = source.constructor(found)
        needs = source.needs(found)
    else:
        raise PluginError(f"{target!r} is named by an option file, but {file} defines no {name!r}.")
    return Signature(target, parts, settings, ast.get_docstring(found) or "", file, found.lineno, needs)


def _source(module: str, target: str) -> Path:
    """The file of a module. Nothing is imported, packages around it neither."""
    top, *inner = module.split(".")
    spec = importlib.util.find_spec(top) if top else None
    for word in inner:
        inside = list(spec.submodule_search_locations or ()) if spec else []
        spec = PathFinder.find_spec(word, inside) if inside else None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise PluginError(f"The module of {target!r} cannot be found.", hint="Is its plugin installed?")
    stub = Path(spec.origin).with_suffix(".pyi")
    return stub if stub.is_file() else Path(spec.origin)


@dataclass(frozen=True, slots=True)
class _Module:
    """The source of a module, as far as signatures need it."""

    name: str
    tree: ast.Module

    def constructor(self, node: ast.ClassDef) -> tuple[tuple[str, ...], dict[str, Setting]]:
        own = next((item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)
        if own is not None:
            return self.parameters(own, skip=1)
        inherited = next(self._parents(node), None)
        parts, settings = (inherited.parts, inherited.settings) if inherited else ((), {})
        if not any(_is_dataclass(decorator) for decorator in node.decorator_list):
            return parts, settings
        return parts, {**settings, **dict(self._fields(node))}

    def needs(self, node: ast.ClassDef) -> dict[str, str]:
        """The class attribute `needs`, its own or the nearest inherited one; PluginError where it is not written out.

        See `luthier.fetch.extras`.
        """
        for item in node.body:
            target = item.targets[0] if isinstance(item, ast.Assign) else getattr(item, "target", None)
            if isinstance(item, (ast.Assign, ast.AnnAssign)) and getattr(target, "id", "") == "needs":
                try:
                    said: Any = ast.literal_eval(item.value) if item.value else {}
                    return {str(key): str(value) for key, value in said.items()}
                except (ValueError, AttributeError) as error:
                    message = f"`needs` of {self.name}.{node.name} is not a dictionary of texts that is written out."
                    raise PluginError(message, hint='Such as {"rensa": "luthier[cpt]"}.') from error
        return next((parent.needs for parent in self._parents(node) if parent.needs), {})

    def _fields(self, node: ast.ClassDef) -> Iterator[tuple[str, Setting]]:
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                hidden = "ClassVar" in ast.unparse(item.annotation) or "init=False" in ast.unparse(item)
                if not hidden:
                    yield self._setting(item.target.id, item.annotation, item.value)

    def _parents(self, node: ast.ClassDef) -> Iterator[Signature]:
        for parent in node.bases:
            if target := self._where_from(ast.unparse(parent).partition("[")[0]):
                yield signature(target)

    def _where_from(self, name: str) -> str | None:
        """The dotted name of a base class that this module defines, or imports from luthier or a plugin."""
        if any(isinstance(node, ast.ClassDef) and node.name == name for node in self.tree.body):
            return f"{self.name}.{name}"
        return self.imported(name)

    def imported(self, name: str) -> str | None:
        """The dotted name of what this module imports under a name, from luthier or a plugin."""
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module and "luthier" in node.module:
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        return f"{node.module}.{alias.name}"
        return None

    def parameters(self, function: ast.FunctionDef, skip: int = 0) -> tuple[tuple[str, ...], dict[str, Setting]]:
        arguments = function.args
        parts = tuple(argument.arg for argument in [*arguments.posonlyargs, *arguments.args][skip:])
        pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        return parts, dict(self._setting(argument.arg, argument.annotation, default) for argument, default in pairs)

    def _setting(self, name: str, annotation: ast.expr | None, default: ast.expr | None) -> tuple[str, Setting]:
        written = ast.unparse(annotation) if annotation else "Any"
        return name, Setting(name, written, self._value(default), allowed(annotation, self._aliases()))

    def _aliases(self) -> dict[str, ast.expr]:
        """The names that this module gives to types and values: `Mode = Literal[…]`, `LENGTH = 512`."""
        plain = [node for node in self.tree.body if isinstance(node, ast.Assign) and len(node.targets) == 1]
        annotated = [node for node in self.tree.body if isinstance(node, ast.AnnAssign) and node.value is not None]
        return {
            **{ast.unparse(node.targets[0]): node.value for node in plain},
            **{ast.unparse(node.target): node.value for node in annotated if node.value is not None},
        }

    def _value(self, node: ast.expr | None) -> Any:
        if node is None:
            return REQUIRED
        if isinstance(node, ast.Name) and node.id in self._aliases():
            return self._value(self._aliases()[node.id])
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "field":
            return self._of_field({word.arg: word.value for word in node.keywords})
        try:
            value = ast.literal_eval(node)
        except ValueError:
            return ast.unparse(node)
        return list(value) if isinstance(value, (tuple, set)) else value

    def _of_field(self, words: dict[str | None, ast.expr]) -> Any:
        if "default_factory" in words:
            factory = ast.unparse(words["default_factory"])
            return {"dict": {}, "list": []}.get(factory, factory)
        return self._value(words.get("default"))


def _is_dataclass(decorator: ast.expr) -> bool:
    return "dataclass" in ast.unparse(decorator)


def _is_special(key: str) -> bool:
    return key.startswith("_") and key.endswith("_")
