"""Who is to blame for an error: the part outside of luthier and of libraries in which it arose, and whose it is."""

from __future__ import annotations

import gc
import inspect
import re
import sys
import traceback
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

from luthier.errors import LuthierError, PluginError
from luthier.errors.texts import error_text
from luthier.plugins.answered import answer_of
from luthier.plugins.installed import CORE, owner_of

_CALLED = re.compile(r"^([\w.<>]+)\(\) (takes|missing|got an unexpected|got some positional-only|got multiple)")


def culprit(error: BaseException) -> str:
    """Where an error comes from outside of luthier, as "Mine.encode (acme-luthier 0.3.1, mine.py:14)".

    It is the innermost such place, the class that lacks an attribute, or the function that did not take what it was
    given. Empty where the error is luthier's or a library's.
    """
    return next((place for place, _ in _places(error)), "")


def answer_at_fault(error: BaseException) -> str:
    """The answer of the part from whose code an error comes, as `question=answer`; empty without one."""
    return next((found for _, part in _places(error) if (found := answer_of(part))), "")


def culprit_of(frame: FrameType) -> str:
    """The innermost place outside of luthier on the stack of a thread, as `culprit` writes it; empty without one."""
    stack = traceback.walk_stack(frame)
    return next((_line_of(one, line) for one, line in stack if is_foreign(str(one.f_globals.get("__name__", "")))), "")


def blamed(error: BaseException, made: Any = None, *, at: str = "") -> PluginError | None:
    """An error of a part's own code as a sentence with its answer, distribution, version, file and line.

    None where it is luthier's own or a library's. `made` is the class or function that was called and `at` its path in
    the recipe, where these are known: a library that a recipe names as a part is named by them.
    """
    places = list(_places(error))
    if not places and made is not None and (module := _module_of(made)) and not _is_luthiers(module):
        places = [(place_of(made), made)]
    if not places:
        return None
    answer = next((found for _, part in places if (found := answer_of(part))), at)
    text = error.message.rstrip(".") if isinstance(error, LuthierError) else error_text(error)
    failed = f"{answer} failed: " if answer else ""
    return PluginError(f"{failed}{text}, in {places[0][0]}.", where=at, hint="--debug shows the traceback.")


def told(error: BaseException, made: Any = None) -> str:
    """An error as part of a sentence: of a part's own code with its answer, distribution, version, file and line."""
    failure = None if isinstance(error, PluginError) else blamed(error, made)
    told = failure or error
    return told.message.rstrip(".") if isinstance(told, LuthierError) else error_text(told)


def place_of(made: Any) -> str:
    """Where a class, function or object is written, as "FirstWord (acme-luthier 0.3.1, tasks.py:14)"."""
    made = written(made)
    module, name = _module_of(made), str(getattr(made, "__qualname__", type(made).__name__))
    file, line = _lines(made)
    return f"{name} ({', '.join(filter(None, [_whose(module), _at(file, line)]))})"


def _places(error: BaseException) -> Iterator[tuple[str, Any]]:
    """Where an error passed through code of plugins, innermost first: the place, and the class, function or module."""
    cause: BaseException | None = error
    causes = []
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__
    for one in reversed(causes):
        if isinstance(one, SyntaxError) and (module := _module_at(one.filename)):
            yield f"{module} ({', '.join(filter(None, [_whose(module), _at(one.filename, one.lineno)]))})", module
        inside = False  # of luthier's own code, which a plugin's `luthier_run` is wrapped around
        for frame, line in reversed(list(traceback.walk_tb(one.__traceback__))):
            module = str(frame.f_globals.get("__name__", ""))
            inside = inside or _is_luthiers(module)
            if is_foreign(module) and not (inside and frame.f_code.co_name == "luthier_run"):
                yield _line_of(frame, line), _part_of(frame)
        if isinstance(one, AttributeError) and is_foreign((kind := type(one.obj)).__module__):
            yield place_of(kind), kind
        if isinstance(one, TypeError) and (called := _CALLED.match(str(one))):
            for function, owner in _loaded(called[1]):
                yield place_of(function), owner


def _line_of(frame: FrameType, line: int) -> str:
    said = filter(None, [_whose(str(frame.f_globals.get("__name__", ""))), _at(frame.f_code.co_filename, line)])
    return f"{_name_of(frame)} ({', '.join(said)})"


def _name_of(frame: FrameType) -> str:
    name = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)  # Python 3.10 has no qualified one
    return str(frame.f_globals.get("__name__")) if name == "<module>" else name


def _part_of(frame: FrameType) -> Any:
    """The class of the object whose method a frame is, else its function, else the name of its module."""
    code, space = frame.f_code, frame.f_globals
    first = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
    kind = first if isinstance(first, type) else type(first)
    if first is not None and is_foreign(kind.__module__):
        return kind
    functions = (value for value in list(space.values()) if inspect.isfunction(value))
    return next((one for one in functions if inspect.unwrap(one).__code__ is code), str(space.get("__name__")))


def _loaded(qualified: str) -> Iterator[tuple[Any, Any]]:
    """The functions of this qualified name in the modules of plugins, each with its class."""
    if "<" in qualified:  # it was made in a function or is a lambda: no module leads to it
        # `isinstance` would ask a weak reference's proxy for the class of what may be gone
        made = [one for one in gc.get_objects() if type(one) is FunctionType and one.__qualname__ == qualified]
        yield from ((one, one) for one in made if is_foreign(one.__module__))
    for name, module in list(sys.modules.items()):
        owner: Any = None
        found: Any = module if is_foreign(name) else None
        for word in qualified.split("."):
            owner, found = found, vars(found).get(word) if hasattr(found, "__dict__") else None
        if inspect.isfunction(found):
            yield found, found if owner is module else owner


def is_foreign(module: str) -> bool:
    """Whether a module is a plugin's or not installed, and none of luthier's own plugins."""
    from luthier.plugins.source_code import is_own  # where there is an error

    return not _is_luthiers(module) and is_own(module.partition(".")[0])


def _is_luthiers(module: str) -> bool:
    top = module.partition(".")[0]
    owner = owner_of(top) if top != CORE else None
    return top == CORE or (owner is not None and owner.name == CORE)


def written(made: Any) -> Any:
    """The class or function that is written for a part: of a partial its function, of an object its class."""
    while hasattr(made, "func") and hasattr(made, "keywords"):
        made = made.func
    made = inspect.unwrap(getattr(made, "__func__", made))
    return made if isinstance(made, type) or inspect.isroutine(made) else type(made)


def _module_of(made: Any) -> str:
    return str(getattr(written(made), "__module__", "") or "")


def _lines(made: Any) -> tuple[str, int | None]:
    code: CodeType | None = getattr(made, "__code__", None)
    if code is not None:
        return code.co_filename, code.co_firstlineno
    try:
        return inspect.getsourcefile(made) or "", inspect.getsourcelines(made)[1]
    except (OSError, TypeError):  # a class that is made at run time
        return str(getattr(sys.modules.get(_module_of(made)), "__file__", "") or ""), None


def _at(file: str | None, line: int | None) -> str:
    return Path(file).name + (f":{line}" if line else "") if file else ""


def _module_at(file: str | None) -> str:
    """The top-level package of a plugin in whose folder a file lies."""
    folders = [*Path(file).absolute().parents] if file else []
    return next((folder.name for folder in folders if is_foreign(folder.name)), "")


def _whose(module: str) -> str:
    try:
        owner = owner_of(module.partition(".")[0])
    except metadata.PackageNotFoundError:
        return ""
    return f"{owner.name} {owner.version}" if owner is not None else ""
