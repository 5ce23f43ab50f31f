"""What a part gave back, checked where luthier takes it: an error names the part instead of the line that stumbles."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from luthier.errors import PluginError
from luthier.plugins.answered import answer_of
from luthier.plugins.blame import place_of, written

Returned = TypeVar("Returned")
_LONGEST = 80


def returned(value: Returned, kind: type | tuple[type, ...], by: Callable[..., Any]) -> Returned:
    """The value, where it is of the kind; PluginError that names the function or method which gave it, where not."""
    if isinstance(value, kind):
        return value
    kinds = kind if isinstance(kind, tuple) else (kind,)
    raise misreturned(by, " or ".join("None" if one is type(None) else _a(one.__name__) for one in kinds), value)


def held(part: Any, name: str, kind: type | tuple[type, ...]) -> Any:
    """An attribute of a part, where it is of the kind; PluginError that names the part, where not."""
    value = getattr(part, name)
    if isinstance(value, kind):
        return value
    kinds = kind if isinstance(kind, tuple) else (kind,)
    answer = answer_of(type(part))
    who = f"{answer}: {place_of(part)}" if answer else place_of(part)
    raise PluginError(f"{who} has {name} = {as_shown(value)}, and must have {_a(kinds[0].__name__)}.")


def misreturned(by: Callable[..., Any], expected: str, value: Any, *, shown: str = "") -> PluginError:
    """The error that a part gave back something else than what is expected of it; `shown` describes the value."""
    owner = getattr(by, "__self__", None)
    answer = answer_of(type(owner)) if owner is not None else answer_of(written(by))
    shown = shown or as_shown(value)
    who = f"{answer}: {place_of(by)}" if answer else place_of(by)
    return PluginError(f"{who} must return {expected}, and returned {shown}.")


def as_shown(value: Any) -> str:
    """A value as an error shows it: its type where it is long or has nothing but an address to show."""
    if inspect.iscoroutine(value):
        value.close()  # or Python warns that nobody awaited it
        return "a coroutine, as it is async"
    text = repr(value)
    return text if len(text) <= _LONGEST and " at 0x" not in text else _a(type(value).__name__)


def _a(name: str) -> str:
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"
