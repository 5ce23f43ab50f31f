"""Calls of hooks told as they happen: which plugin's, in which order, and how long each took (`--trace-hooks`)."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Generator
from functools import partial, wraps
from typing import Any

import pluggy


def trace_hooks(
    manager: pluggy.PluginManager, name: str, whose: Callable[[str], str], say: Callable[[str], None]
) -> None:
    """Have each hook of a registered plugin told to `say` when it is called, and with its time when it returns."""
    for caller in manager.get_hookcallers(manager.get_plugin(name)) or ():
        for implementation in caller.get_hookimpls():
            if implementation.plugin_name == name:
                around = ", with what it wraps" if implementation.wrapper or implementation.hookwrapper else ""
                told = _told(implementation.function, partial(_named, caller.name, name, whose), around, say)
                object.__setattr__(implementation, "function", told)  # which pluggy declares final


def _named(hook: str, name: str, whose: Callable[[str], str]) -> str:
    return f"{hook} of {whose(name)}"  # asked when it is called: a plugin is known once it is whole


def _told(
    function: Callable[..., Any], what: Callable[[], str], around: str, say: Callable[[str], None]
) -> Callable[..., Any]:
    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        say(f"hook {what()} is called")
        began = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            say(f"hook {what()} took {time.perf_counter() - began:.3f} s")

    @wraps(function)
    def generate(*arguments: Any, **named: Any) -> Generator[Any, Any, Any]:
        say(f"hook {what()} is called")
        began = time.perf_counter()
        try:
            return (yield from function(*arguments, **named))
        finally:
            say(f"hook {what()} took {time.perf_counter() - began:.3f} s{around}")

    return generate if inspect.isgeneratorfunction(function) else call
