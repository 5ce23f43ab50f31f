"""The source code that parts are made of, found without importing it, and its hash."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from luthier.fetch.digests import sha256_of_file
from luthier.version import __version__

CORE = "luthier"
_COMPILED = {".pyc", ".pyo"}
_LARGEST_DATA = 1 << 20  # bytes of a file beside code that is not installed


@cache
def spec(name: str) -> ModuleSpec | None:
    """Where a module lies; nothing is imported, the packages around it neither."""
    top, *inner = name.split(".")
    try:
        found = importlib.util.find_spec(top) if top else None
    except (ValueError, ImportError):  # a module in sys.modules without a spec
        return None
    for word in inner:
        inside = list(found.submodule_search_locations or ()) if found else []
        found = PathFinder.find_spec(word, inside) if inside and word else None
    return found


def code_hash(names: Iterable[str], rooms: Iterable[str] = ("",)) -> str:
    """The sha256 of the code of some modules, classes or functions, given by their dotted names; 64 digits.

    It covers luthier's version and code (that of the `rooms` alone, if given), the modules themselves and all that they
    import, directly or not: of a plugin the whole package with its data, of code that is not installed the imported
    modules and the small files beside them. What they import of other distributions counts as unchanged.
    """
    modules = _reached(frozenset(names))
    plugins = {module.partition(".")[0] for module in modules} & _plugin_packages()
    files = {path for room in rooms for path in _files(CORE, room)}
    files |= {path for top in plugins for path in _files(top)}
    files |= {path for module in modules if module.partition(".")[0] not in plugins for path in _beside(module)}
    digest = hashlib.sha256(__version__.encode())
    for line in sorted(f"\n{path.name} {_hash_of_file(path)}" for path in files):
        digest.update(line.encode())
    return digest.hexdigest()


@cache
def _reached(names: frozenset[str]) -> frozenset[str]:
    """The modules of the names, and those outside of luthier and of libraries that they import."""
    reached: set[str] = set()
    waiting = {module for name in names for module in _modules(name)} - {CORE}
    while waiting:
        reached |= waiting
        waiting = {found for module in waiting for found in _imported(module)} - reached
    return frozenset(module for module in reached if module.partition(".")[0] != CORE)


@cache
def _imported(module: str) -> frozenset[str]:
    """What a module that is neither luthier's nor a library's imports of the same kind, wherever the statement is."""
    path = _origin(module)
    if path is None or path.suffix != ".py" or not is_own(module.partition(".")[0]):
        return frozenset()
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # no module of this Python
        return frozenset()
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            around = ".".join([*above, *filter(None, [node.module])])
            names |= {f"{around}.{alias.name}" for alias in node.names}
    own = {name for name in names if is_own(name.partition(".")[0])}
    return frozenset(found for name in own for found in _modules(name))


def _modules(name: str) -> Iterator[str]:
    """The module that a dotted name begins with, and the packages around it."""
    words = name.split(".")
    for end in range(1, len(words) + 1):
        if spec(module := ".".join(words[:end])) is None:
            break
        yield module


@cache
def is_own(top: str) -> bool:
    """Whether a top-level package is a plugin's or not installed: it changes without a new version of a library."""
    if top in _plugin_packages():
        return True
    places = [] if top == CORE or top in sys.stdlib_module_names else _places(top)
    return bool(places) and not any(place.is_relative_to(folder) for place in places for folder in _installed())


@cache
def _plugin_packages() -> frozenset[str]:
    values = (entry.value for entry in metadata.entry_points(group="luthier"))
    return frozenset(value.partition(":")[0].partition(".")[0] for value in values)


@cache
def _installed() -> tuple[Path, ...]:
    """The folders of the standard library and of installed packages."""
    known = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    known |= {place for place in sys.path if Path(place).name in {"site-packages", "dist-packages"}}
    return tuple(Path(place).resolve() for place in sorted(known))


def _places(name: str) -> list[Path]:
    """The folders of a package, or the file of a module."""
    found, file = spec(name), _origin(name)
    inside = [Path(place).resolve() for place in (found.submodule_search_locations or () if found else ())]
    return inside or ([file] if file else [])


@cache
def _origin(module: str) -> Path | None:
    found = spec(module)
    return Path(found.origin).resolve() if found and found.has_location and found.origin else None


@cache
def _files(top: str, room: str = "") -> tuple[Path, ...]:
    """The files of a package, or of a folder of it, without what Python compiles."""
    found = [path for place in _places(top) for path in (place / room).rglob("*")] or _places(top)
    return tuple(path for path in found if path.suffix not in _COMPILED and path.is_file())


def _beside(module: str) -> Iterator[Path]:
    """The file of a module, and small files in its folder that are no modules, where it lies in a package."""
    path = _origin(module)
    if path is None:
        return
    yield path
    if "." in module or path.stem == "__init__":
        others = (other for other in path.parent.iterdir() if other.suffix not in {".py", *_COMPILED})
        yield from (other for other in others if other.is_file() and other.stat().st_size <= _LARGEST_DATA)


_hash_of_file = cache(sha256_of_file)
