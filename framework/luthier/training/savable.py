"""States of parts and callbacks, checked before a checkpoint is written: who gave one that it cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytorch_lightning as pl

from luthier.errors import PluginError
from luthier.plugins.returned import misreturned
from luthier.training.plain_state import Json, UnsavableError, dismantle

_EXPECTED = "numbers, texts, tensors and arrays in dicts, lists, tuples and sets, as a checkpoint holds them"


def savable(state: Any, by: Callable[..., Any]) -> Any:
    """A state that a checkpoint can hold; PluginError that names who gave another one."""
    try:
        dismantle(state)
    except UnsavableError as error:
        raise misreturned(by, _EXPECTED, state, shown=f"a state whose {str(error).rstrip('.')}") from error
    return state


def dismantled(checkpoint: dict[str, Any]) -> tuple[Json, dict[str, Any]]:
    """`dismantle` of a whole checkpoint; PluginError that names the callback whose state it cannot hold."""
    try:
        return dismantle(checkpoint)
    except UnsavableError as error:
        where, *keys = error.place
        for made in _callbacks(pl.Callback) if where == "callbacks" and keys else ():
            if keys[0] == made.__qualname__ and "state_dict" in vars(made):
                raise misreturned(made.state_dict, _EXPECTED, None, shown=f"a state whose {error}"[:-1]) from error
        raise PluginError(f"The state of the training cannot be saved: {error}") from error


def _callbacks(kind: Any) -> Iterator[Any]:
    for one in kind.__subclasses__():
        yield one
        yield from _callbacks(one)
