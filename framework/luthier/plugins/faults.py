"""What is wrong with a plugin before any of its hooks is called, and who is to blame for an error that comes later."""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from luthier.errors import PluginError
from luthier.errors.interrupted import Interrupted
from luthier.errors.suggestions import nearest
from luthier.plugins import hookspecs
from luthier.version import __version__

CORE = "luthier"
_MARK = "luthier_impl"
_CALLED = re.compile(r"^([\w.]+)\(\) (takes|missing|got an unexpected)")


def entry_point_fault(value: str, distribution: metadata.Distribution | None) -> str:
    """A sentence on an entry point that names no module, or a plugin that needs another luthier; empty without one."""
    if ":" in value:
        return f"its entry point names {value!r}, and must name a module: {value.partition(':')[0]!r}"
    needed = () if distribution is None or distribution.name == CORE else distribution.requires or ()
    if not any(re.match(rf"{CORE}\b(?!-)", requirement) for requirement in needed):
        return ""
    from packaging.requirements import Requirement

    for requirement in map(Requirement, needed):
        fits = requirement.specifier.contains(__version__, prereleases=True)
        if requirement.name == CORE and requirement.marker is None and not fits:
            return f"it needs luthier {requirement.specifier}, and this is luthier {__version__}"
    return ""


def hook_fault(module: ModuleType) -> str:
    """A sentence on the first hook of a module that nobody would call as it was meant; empty without one."""
    known = {
        name: inspect.signature(getattr(hookspecs, name)) for name in vars(hookspecs) if name.startswith("luthier_")
    }
    for name, value in vars(module).items():
        if not inspect.isfunction(value) or value.__module__ != module.__name__:
            continue
        marked = hasattr(value, _MARK)
        if marked and name not in known:
            return (
                f"it has a hook {name}, which luthier does not have. {nearest(name, known, 'There are').rstrip('?. ')}"
            )
        if name in known and not marked:
            return f"its function {name} is no hook without @luthier.api.hookimpl before it"
        more = set(inspect.signature(value).parameters) - set(known[name].parameters) if marked else ()
        if more:
            given = ", ".join(known[name].parameters) or "nothing"
            return f"its hook {name} takes {', '.join(sorted(more))}, and is given {given}"
    return ""


def culprit(error: BaseException) -> str:
    """Where an error comes from outside of luthier, as "Mine.encode (acme-luthier 0.3.1, mine.py:14)".

    It is the innermost such place, the class that lacks an attribute, or the function that did not take what it was
    given. Empty where the error is luthier's or a library's.
    """
    if place := _first_of_a_plugin(reversed(list(traceback.walk_tb(error.__traceback__)))):
        return place
    kind = type(error.obj) if isinstance(error, AttributeError) else None
    if kind is not None and _is_a_plugins(kind.__module__):
        file = Path(sys.modules[kind.__module__].__file__ or "")
        return f"{kind.__qualname__} ({_whose(kind.__module__)}{file.name})"
    called = _CALLED.match(str(error)) if isinstance(error, TypeError) else None
    for module, function in _loaded(called[1]) if called else ():
        code = inspect.unwrap(function).__code__
        return f"{called[1]} ({_whose(module)}{Path(code.co_filename).name}:{code.co_firstlineno})"  # type: ignore[index]
    return ""


def _loaded(qualified: str) -> Iterator[tuple[str, Any]]:
    """The functions of this qualified name in the modules of plugins, with the names of these modules."""
    for name, module in list(sys.modules.items()):
        found: Any = module if _is_a_plugins(name) else None
        for word in qualified.split("."):
            found = vars(found).get(word) if hasattr(found, "__dict__") else None
        if inspect.isfunction(found):
            yield name, found


def _is_a_plugins(module: str) -> bool:
    from luthier.plugins.source_code import is_own  # where there is an error

    top = module.partition(".")[0]
    shipped = (owner := _owners().get(top)) is not None and owner.name == CORE
    return top != CORE and not shipped and is_own(top)


def culprit_of(frame: FrameType) -> str:
    """The innermost place outside of luthier on the stack of a thread, as `culprit` writes it; empty without one."""
    return _first_of_a_plugin(traceback.walk_stack(frame))


def _first_of_a_plugin(frames: Iterable[tuple[FrameType, int]]) -> str:
    for frame, line in frames:
        name = str(frame.f_globals.get("__name__", ""))
        if _is_a_plugins(name):
            return f"{frame.f_code.co_qualname} ({_whose(name)}{Path(frame.f_code.co_filename).name}:{line})"
    return ""


@contextmanager
def exits_named() -> Iterator[None]:
    """In this context neither sys.exit nor a KeyboardInterrupt of somebody's code ends the process: a PluginError.

    Real signals are answered by the run, as `Interrupted`.
    """
    try:
        yield
    except Interrupted:
        raise
    except (SystemExit, KeyboardInterrupt) as error:
        raise exit_of_a_part(error) from error


def exit_of_a_part(error: BaseException) -> PluginError:
    """What is said of code that wanted to end the process; Lightning turns a KeyboardInterrupt into such an exit."""
    first = error.__context__ if isinstance(error.__context__, KeyboardInterrupt) else error
    what = f"{type(first).__name__}({', '.join(map(repr, first.args))})"
    place = culprit(first) or culprit(error)
    return PluginError(
        f"{what} was to end the process{f', in {place}' if place else ''}.",
        hint="A part ends a run with an exception of its own; --debug shows where it came from.",
    )


@cache
def _owners() -> dict[str, metadata.Distribution]:
    """The distribution of each package that is a plugin."""
    entries = metadata.entry_points(group=CORE)
    return {one.value.partition(":")[0].partition(".")[0]: one.dist for one in entries if one.dist}


def _whose(module: str) -> str:
    top = module.partition(".")[0]
    if (owner := _owners().get(top)) is not None:
        return f"{owner.name} {owner.version}, "
    for name in metadata.packages_distributions().get(top, ()):
        return f"{name} {metadata.version(name)}, "
    return ""
