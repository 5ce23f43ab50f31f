"""What the names of an annotation mean once its module is imported, also those imported for type checkers alone."""

from __future__ import annotations

import ast
import inspect
import sys
import typing
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from luthier.config.importing import named
from luthier.plugins.source_code import spec


class Names(dict[str, Any]):
    """The names of a module, and of a class in it; one that only `if TYPE_CHECKING:` binds is imported when asked."""

    def __init__(self, module: str, *spaces: Mapping[str, Any]) -> None:
        super().__init__()
        self.module = module
        for space in spaces:
            self.update(space)

    def __missing__(self, name: str) -> Any:
        from luthier.config.source import modules  # griffe is imported where a name is missing

        source = modules.source(self.module, largest=None) if self.module else None
        for binding in source.bound(name) if source else ():
            if binding.imported:
                is_module = spec(binding.imported) is not None
                self[name] = import_module(binding.imported) if is_module else named(binding.imported)
                return self[name]
            if value := getattr(binding.node, "value", None):
                return evaluated(ast.unparse(value), [self])
        raise KeyError(name)


def evaluated(annotation: Any, spaces: Iterable[Names]) -> Any:
    """An annotation with its names looked up in the first space that knows them all; Any where none does."""
    for space in spaces:
        try:
            written = SimpleNamespace(__annotations__={"it": annotation})
            return typing.get_type_hints(written, globalns={}, localns=space)["it"]
        except Exception:  # noqa: S112 - whatever a name of another module's raises, the next one is asked
            continue
    return Any


def names_at(path: str) -> Names:
    """The names of a module or of a class inside it, by its dotted name."""
    words = path.split(".")
    split = next((size for size in range(len(words), 0, -1) if ".".join(words[:size]) in sys.modules), 0)
    module = ".".join(words[:split])
    spaces, owner = [], sys.modules.get(module)
    for word in [*words[split:], ""]:
        spaces.append(getattr(owner, "__dict__", {}))
        owner = getattr(owner, word, None)
    return Names(module, *spaces)


def names_of(target: Any, name: str) -> Iterator[Names]:
    """Where to look up the annotation of a target's parameter: where it is written, then the classes above."""
    while hasattr(target, "func") and hasattr(target, "keywords"):  # a partial
        target = target.func
    if not isinstance(target, type):
        function = inspect.unwrap(target)
        yield _of(function, function)
        return
    for owner, function in _written(target, name):
        yield _of(function, owner)
    for owner in target.__mro__:
        yield _of(owner, owner)


def _written(kind: type, name: str) -> Iterator[tuple[type, Any]]:
    """The class whose constructor has the parameter, or whose field it is; and what has the names of its module."""
    for place, owner in enumerate(kind.__mro__):
        for word in ("__init__", "__new__"):
            function = inspect.unwrap(vars(owner).get(word, object))
            if name not in getattr(function, "__annotations__", {}):
                continue
            if {"__dataclass_fields__", "__attrs_attrs__"} & set(vars(owner)):
                above = kind.__mro__[place:]
                yield from ((one, one) for one in above if name in vars(one).get("__annotations__", {}))
            yield owner, function


def _of(holder: Any, owner: Any) -> Names:
    """The names of the module in which something stands, and of the class around it."""
    module = getattr(holder, "__module__", None) or ""
    space = getattr(holder, "__globals__", None) or getattr(sys.modules.get(module), "__dict__", {})
    return Names(str(space.get("__name__", module)), space, vars(owner) if isinstance(owner, type) else {})
