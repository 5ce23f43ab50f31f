"""The source code that parts are made of, found without importing it, and its hash."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from luthier.fetch.digests import sha256_of_file
from luthier.plugins.installed import CORE, packages_of_plugins
from luthier.version import __version__

File = tuple[str, Path]
"""A file by its place in its package, and where it lies."""
_COMPILED = {".pyc", ".pyo"}
_NO_DATA = {".py", ".log", *_COMPILED}
_LARGEST_DATA = 1 << 20  # bytes of a file beside code that is not installed and does not name it
_LONGEST_NAME = 255
_NAMES_A_MODULE = ("import_module", "__import__", "files", "get_data")  # of importlib, importlib.resources, pkgutil


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
    modules, the small files beside them, and the files and folders beside them that a text in the code names. Each file
    counts by its place in its package. What they import of other distributions counts as unchanged.
    """
    modules = _reached(frozenset(names))
    plugins = {module.partition(".")[0] for module in modules} & packages_of_plugins()
    files = {file for room in rooms for file in _files(CORE, room)}
    files |= {file for top in plugins for file in _files(top)}
    files |= {file for module in modules if module.partition(".")[0] not in plugins for file in _beside(module)}
    digest = hashlib.sha256(__version__.encode())
    for line in sorted(f"\n{place} {_hash_of_file(path)}" for place, path in files):
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
    own = (
        {name for name in _said(module)[0] if is_own(name.partition(".")[0])}
        if is_own(module.partition(".")[0])
        else ()
    )
    return frozenset(found for name in own for found in _modules(name))


@cache
def _said(module: str) -> tuple[frozenset[str], frozenset[str]]:
    """The dotted names that a module imports, and the texts in its code that may name a file."""
    path, package, names, texts = _origin(module), _package(module), set[str](), set[str]()
    try:
        nodes = ast.walk(ast.parse(path.read_bytes() if path and path.suffix == ".py" else b""))
    except (SyntaxError, ValueError):  # no module of this Python
        return frozenset(), frozenset()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            around = ".".join([*above, *filter(None, [node.module])])
            names |= {f"{around}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(_NAMES_A_MODULE):
            names |= {text for text in map(_text, node.args[:1]) if not text.startswith(".")}
        elif len(text := _text(node)) <= _LONGEST_NAME and text.isprintable():
            texts.add(text)
    return frozenset(names), frozenset(texts)


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _package(module: str) -> str:
    path = _origin(module)
    return module if path is not None and path.stem == "__init__" else module.rpartition(".")[0]


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
    if top in packages_of_plugins():
        return True
    places = [] if top == CORE or top in sys.stdlib_module_names else _places(top)
    return bool(places) and not any(place.is_relative_to(folder) for place in places for folder in _installed())


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
def _files(top: str, room: str = "") -> tuple[File, ...]:
    """The files of a package, or of a folder of it, without what Python compiles."""
    found = [(path, place) for place in _places(top) for path in (place / room).rglob("*")]
    found = found or [(place, place.parent) for place in _places(top)]
    kept = ((path, place) for path, place in found if path.suffix not in _COMPILED and path.is_file())
    return tuple((f"{top}/{path.relative_to(place).as_posix()}", path) for path, place in kept)


@cache
def _beside(module: str) -> frozenset[File]:
    """The file of a module and its data: what its texts name and, in a package, small files in its folder."""
    path = _origin(module)
    if path is None:
        return frozenset()
    package, folder = _package(module), path.parent
    found = {path, *_named(module, folder, with_folders=bool(package)), *(_small(folder) if package else ())}
    return frozenset((f"{package}/{os.path.relpath(one, folder)}", one) for one in found)


@cache
def _small(folder: Path) -> tuple[Path, ...]:
    others = (other for other in folder.iterdir() if other.suffix not in _NO_DATA and other.is_file())
    return tuple(other for other in others if other.stat().st_size <= _LARGEST_DATA)


def _named(module: str, folder: Path, *, with_folders: bool) -> Iterator[Path]:
    """The files that texts in a module's code name, from its folder on, and those in the folders that they name."""
    for text in _said(module)[1]:
        words, place = Path(text).parts, folder / text
        if not words or Path(text).is_absolute() or ".." in words:
            continue
        inside = place.rglob("*") if with_folders and place.is_dir() else [place]
        yield from (one for one in inside if one.suffix not in _NO_DATA and one.is_file())


@cache
def _hash_of_file(path: Path) -> str:
    if path.stat().st_size <= _LARGEST_DATA:
        return sha256_of_file(path)
    from luthier.fetch.remembered import remembered_digest

    return remembered_digest(path)
