"""What is wrong with a plugin before any of its hooks is called."""

from __future__ import annotations

import inspect
import re
from difflib import get_close_matches
from types import ModuleType

from luthier.errors.suggestions import nearest
from luthier.plugins import hookspecs
from luthier.plugins.installed import CORE, EntryPoint
from luthier.version import __version__

_MARK = "luthier_impl"
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


def hook_fault(module: ModuleType) -> str:
    """A sentence on the first hook of a module that nobody would call as it was meant; empty without one."""
    known = {
        name: inspect.signature(getattr(hookspecs, name)) for name in vars(hookspecs) if name.startswith("luthier_")
    }
    for name, value in vars(module).items():
        if not inspect.isfunction(value) or value.__module__.partition(".")[0] != module.__name__.partition(".")[0]:
            continue
        marked = hasattr(value, _MARK)
        if not marked and name not in known and (meant := get_close_matches(name, known, 1, _AS_GOOD_AS_MEANT)):
            return f"its function {name} is no hook: did you mean {meant[0]}, with @luthier.api.hookimpl before it"
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
