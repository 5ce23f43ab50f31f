"""What the distribution requires: a luthier that fits, versions that are installed, and every package it imports."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from luthier.plugins.installed import CORE, owners_of
from luthier.version import __version__
from luthier.workflows.plugin_check.subject import Finding, Subject

CHECK = "requirements"


def check(subject: Subject) -> Iterator[Finding]:
    """Nothing is found where all fits but that it does."""
    faults = [*_of_luthier(subject), *_of_versions(subject), *_of_imports(subject)]
    yield from faults
    if not faults:
        number = len(_requirements(subject.distribution))
        yield Finding(CHECK, "passed", f"{number} requirements fit what is installed, and name all that is imported.")


def _requirements(distribution: metadata.Distribution) -> list[Requirement]:
    found = []
    for text in distribution.requires or ():
        try:
            found.append(Requirement(text))
        except InvalidRequirement:
            continue
    return found


def _of_luthier(subject: Subject) -> Iterator[Finding]:
    if subject.is_core:
        return
    named = [one for one in _requirements(subject.distribution) if canonicalize_name(one.name) == CORE]
    if not named:
        message = f"{subject} does not require luthier, so pip installs it without."
        yield Finding(CHECK, "failed", message, "METADATA", f'Add "luthier>={_minor()}" to its dependencies.')
    for one in named:
        if not one.specifier:
            message = f"{subject} requires any luthier, also one whose API its parts do not know."
            hint = f'Say from which version on: "luthier>={_minor()}".'
            yield Finding(CHECK, "failed", message, "METADATA", hint)
        elif not one.specifier.contains(__version__, prereleases=True):
            message = f"{subject} requires luthier{one.specifier}, and this is luthier {__version__}."
            yield Finding(CHECK, "failed", message, "METADATA")


def _minor() -> str:
    return ".".join(__version__.split(".")[:2])


def _of_versions(subject: Subject) -> Iterator[Finding]:
    """Requirements that what is installed here does not meet; those of extras are met where they are installed."""
    for one in _requirements(subject.distribution):
        if canonicalize_name(one.name) == CORE:
            continue
        needed = one.marker is None or one.marker.evaluate({"extra": ""})
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            if needed:
                yield Finding(CHECK, "failed", f"{subject} requires {one}, which is not installed.", "METADATA")
            continue
        if needed and not one.specifier.contains(version, prereleases=True):
            own = next((each for each in _core_requirements() if canonicalize_name(each.name) == _name(one)), None)
            pin = f", and luthier requires {own.name}{own.specifier}" if own is not None else ""
            message = f"{subject} requires {one.name}{one.specifier}, but {version} is installed{pin}."
            yield Finding(CHECK, "failed", message, "METADATA")


def _of_imports(subject: Subject) -> Iterator[Finding]:
    """Packages that its code imports and no requirement names, and modules of luthier that are not its API."""
    named = {_name(one) for one in _requirements(subject.distribution)} | {canonicalize_name(subject.distribution.name)}
    named |= {_name(one) for one in _core_requirements() if one.marker is None}
    seen = {name for file in subject.modules() for name in looked_for(file)}
    for file in subject.modules():
        for line, module in imports(file):
            top = module.partition(".")[0]
            if top == CORE:
                place = f"{file}:{line}"
                if not subject.is_core and not _is_public(module) and place not in seen:
                    seen.add(place)
                    message = f"It imports {module}, which is not luthier's API and changes without notice."
                    hint = "luthier.api has what plugins may import."
                    yield Finding(CHECK, "failed", message, place, hint)
                continue
            if top in seen or top in subject.packages or top in sys.stdlib_module_names or subject.holds(top):
                continue
            seen.add(top)
            owners = {canonicalize_name(owner) for owner in owners_of(top) or [top]}
            if not owners & named and CORE not in owners:
                who = " or ".join(sorted(owners))
                message = f"It imports {top}, and no requirement of {subject.distribution.name} names {who}."
                yield Finding(CHECK, "failed", message, f"{file}:{line}", f'Add "{who}" to its dependencies.')


def _is_public(module: str) -> bool:
    return module == CORE or module.split(".")[1] in {"api", "testing", "version"}


def _name(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)


@cache
def _core_requirements() -> list[Requirement]:
    """What installing luthier brings."""
    return _requirements(metadata.distribution(CORE))


def looked_for(file: Path) -> Iterator[str]:
    """The packages without which a part says how to install them (`needs`, `refuse_absent`)."""
    for node in ast.walk(_tree(file)):
        given: ast.AST | None = None
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("refuse_absent"):
            given = next(iter(node.args), None)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            given = node.value if any(ast.unparse(each) == "needs" for each in targets) else None
        for key in given.keys if isinstance(given, ast.Dict) else ():
            if isinstance(key, ast.Constant):
                yield str(key.value)


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of the imports that code cannot do without: not for type checkers, not tried."""
    yield from _imports(_tree(file).body)


@cache
def _tree(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # importing it says so
        return ast.Module([], [])


def _imports(nodes: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module and not node.level:
                inner = node.module == CORE or node.module.startswith(f"{CORE}.")
                names = [f"{node.module}.{alias.name}" for alias in node.names] if inner else [node.module]
                yield from ((node.lineno, name) for name in names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.orelse)
        elif isinstance(node, ast.Try) and any("Import" in ast.unparse(each.type or node) for each in node.handlers):
            yield from _imports([*node.orelse, *node.finalbody])
        else:
            yield from _imports(ast.iter_child_nodes(node))
