"""Code of parts that would end the process: an error that names its place instead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from luthier.errors import PluginError
from luthier.errors.interrupted import Interrupted
from luthier.plugins.blame import answer_at_fault, culprit


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
    place, answer = culprit(first) or culprit(error), answer_at_fault(first) or answer_at_fault(error)
    return PluginError(
        f"{f'{answer} failed: ' if answer else ''}{what} was to end the process{f', in {place}' if place else ''}.",
        hint="A part ends a run with an exception of its own; --debug shows where it came from.",
    )
