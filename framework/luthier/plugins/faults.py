"""What is wrong with a plugin before any of its hooks is called."""

from __future__ import annotations

import inspect
import re
from difflib import get_close_matches
from pathlib import Path
from types import FunctionType, ModuleType

from luthier.errors.suggestions import nearest
from luthier.plugins import hookspecs
from luthier.plugins.installed import CORE, EntryPoint
from luthier.version import __version__

_MARK = "luthier_impl"
_WRAPPED = "luthier_run"
_AS_GOOD_AS_MEANT = 0.85
"""How near a function's name is to that of a hook, where it was meant to be one."""


def entry_point_fault(entry: EntryPoint) -> str:
    """A sentence on an entry point that names no module, or a plugin that needs another luthier; empty without one."""
    distribution = entry.distribution
    if entry.module != entry.value:
        return f"its entry point names {entry.value!r}, and must name a module: {entry.module!r}"
    needed = () if distribution is None or entry.owner[0] == CORE else distribution.requires or ()
    if not any(re.match(rf"{CORE}\b(?!-)", requirement) for requirement in needed):
        return ""
    from packaging.requirements import Requirement

    for requirement in map(Requirement, needed):
        fits = requirement.specifier.contains(__version__, prereleases=True)
        if requirement.name == CORE and requirement.marker is None and not fits:
            return f"it needs luthier {requirement.specifier}, and this is luthier {__version__}"
    return ""


def archive_fault(module: ModuleType) -> str:
    """A sentence on a module that is imported from an archive, whose option files nobody reads; empty without one."""
    file = Path(module.__file__ or "")
    archive = None if file.exists() else next((one for one in file.parents if one.is_file()), None)
    if archive is None:
        return ""
    return f"it is imported from the archive {archive}, where its option files cannot be read; install it with pip"


def hook_fault(module: ModuleType) -> str:
    """A sentence on the first hook of a module that nobody would call as it was meant; empty without one."""
    for name, value in vars(module).items():
        if not inspect.isfunction(value) or value.__module__.partition(".")[0] != module.__name__.partition(".")[0]:
            continue
        if fault := _fault(name, value):
            code = inspect.unwrap(value).__code__
            return f"{fault} ({Path(code.co_filename).name}:{code.co_firstlineno})"
    return ""


def _fault(name: str, function: FunctionType) -> str:
    known = {
        hook: inspect.signature(getattr(hookspecs, hook)) for hook in vars(hookspecs) if hook.startswith("luthier_")
    }
    marked = getattr(function, _MARK, None)
    if marked is None and name not in known and (meant := get_close_matches(name, known, 1, _AS_GOOD_AS_MEANT)):
        return f"its function {name} is no hook: did you mean {meant[0]}, with @luthier.api.hookimpl before it"
    if marked is None:
        return f"its function {name} is no hook without @luthier.api.hookimpl before it" if name in known else ""
    if name not in known:
        return f"it has a hook {name}, which luthier does not have. {nearest(name, known, 'There are').rstrip('?. ')}"
    if more := set(inspect.signature(function).parameters) - set(known[name].parameters):
        given = ", ".join(known[name].parameters) or "nothing"
        return f"its hook {name} takes {', '.join(sorted(more))}, and is given {given}"
    wraps, yields = marked["wrapper"] or marked["hookwrapper"], inspect.isgeneratorfunction(inspect.unwrap(function))
    if wraps and name != _WRAPPED:
        return f"its hook {name} is a wrapper, and only {_WRAPPED} is wrapped"
    if wraps and not yields:
        return f"its hook {name} is a wrapper and yields nothing: what it wraps is carried out at its yield"
    if name == _WRAPPED and yields and not wraps:
        return f"its hook {name} yields, and is no wrapper without @luthier.api.hookimpl(wrapper=True) before it"
    return ""
