"""Nested state as JSON and tensors, and back, exactly: checkpoints without pickle.

Tensors and arrays go by name into a flat mapping (safetensors); everything else is JSON. What JSON does not have is
an object with one key that starts with `!`: tuples, keys that are no strings, infinities, bytes, types of torch.
"""

from __future__ import annotations

import base64
import math
from collections import OrderedDict
from typing import Any

import numpy as np
import torch

Json = Any


class UnsavableError(TypeError):
    """A value that a checkpoint cannot hold; `place` are the keys that lead to it."""

    def __init__(self, message: str, place: tuple[str, ...]) -> None:
        super().__init__(message)
        self.place = place


MARK = "!"


def dismantle(state: Any) -> tuple[Json, dict[str, torch.Tensor]]:
    """`(json, tensors)` of a state; UnsavableError names the place of what cannot be written without pickle.

    Two mentions of the same tensor become one: tied weights are stored once.
    """
    writer = _Writer()
    return writer.value(state, ()), writer.tensors


def rebuild(json: Json, tensors: dict[str, torch.Tensor]) -> Any:
    """The state that `dismantle` took apart; ValueError for a form that it never writes."""
    if isinstance(json, list):
        return [rebuild(item, tensors) for item in json]
    if not isinstance(json, dict):
        return json
    marks = [key for key in json if key.startswith(MARK)]
    if not marks:
        return {key: rebuild(item, tensors) for key, item in json.items()}
    if len(json) != 1 or marks[0] not in _READERS:
        raise ValueError(f"{', '.join(json)} is no form of a state")
    return _READERS[marks[0]](json[marks[0]], tensors)


class _Writer:
    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self._names: dict[tuple[Any, ...], str] = {}

    def value(self, value: Any, place: tuple[str, ...]) -> Json:
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"!float": repr(value)}
        if isinstance(value, torch.Tensor):
            return {"!tensor": self._name(value, place)}
        if kind is np.ndarray:
            return {"!array": self._name(torch.from_numpy(np.ascontiguousarray(value)).reshape(value.shape), place)}
        if isinstance(value, np.generic):
            return {"!scalar": self._name(torch.from_numpy(np.array(value)), place)}
        if kind is list:
            return self._items(value, place)
        if kind is tuple:
            return {"!tuple": self._items(value, place)}
        if kind is torch.Size:
            return {"!size": list(value)}
        if kind in (set, frozenset):
            return {f"!{kind.__name__}": self._items(sorted(value, key=repr), place)}
        if kind is bytes:
            return {"!bytes": base64.b64encode(value).decode()}
        if kind in (torch.dtype, torch.device):
            return {f"!{kind.__name__}": str(value)}
        if kind is dict:
            if all(type(key) is str and not key.startswith(MARK) for key in value):
                return {key: self.value(item, (*place, key)) for key, item in value.items()}
            return {"!dict": self._pairs(value, place)}
        if kind is OrderedDict:
            notes = getattr(value, "_metadata", None)
            return {"!ordered": [self._pairs(value, place), self.value(notes, (*place, "_metadata"))]}
        name = f"{kind.__module__}.{kind.__qualname__}"
        shown = f"{'/'.join(place) or 'the state'} is a {name}, which a checkpoint cannot hold without pickle."
        raise UnsavableError(shown, place)

    def _items(self, values: Any, place: tuple[str, ...]) -> list[Json]:
        return [self.value(item, (*place, str(index))) for index, item in enumerate(values)]

    def _pairs(self, values: Any, place: tuple[str, ...]) -> list[Json]:
        return [[self.value(key, place), self.value(item, (*place, str(key)))] for key, item in values.items()]

    def _name(self, tensor: torch.Tensor, place: tuple[str, ...]) -> str:
        if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized:
            shown = f"{'/'.join(place)} is no plain tensor on a device, which a checkpoint cannot hold."
            raise UnsavableError(shown, place)
        same = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device)
        if same not in self._names:
            name = "/".join(place) or "tensor"
            while name in self.tensors:
                name += "'"
            self._names[same], self.tensors[name] = name, tensor.detach()
        return self._names[same]


def _ordered(value: Json, tensors: dict[str, torch.Tensor]) -> OrderedDict[Any, Any]:
    pairs, notes = value
    result = OrderedDict(_read_pairs(pairs, tensors))
    if notes is not None:
        result._metadata = rebuild(notes, tensors)  # type: ignore[attr-defined]  # torch keeps versions there
    return result


def _read_pairs(pairs: Json, tensors: dict[str, torch.Tensor]) -> list[tuple[Any, Any]]:
    return [(rebuild(key, tensors), rebuild(item, tensors)) for key, item in pairs]


def _dtype(value: Json, _: dict[str, torch.Tensor]) -> torch.dtype:
    dtype = getattr(torch, str(value).removeprefix("torch."), None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"{value!r} is no dtype")
    return dtype


_READERS: dict[str, Any] = {
    "!float": lambda value, _: float(value),
    "!tensor": lambda value, tensors: tensors[value],
    "!array": lambda value, tensors: tensors[value].numpy(),
    "!scalar": lambda value, tensors: tensors[value].numpy()[()],
    "!tuple": lambda value, tensors: tuple(rebuild(value, tensors)),
    "!size": lambda value, _: torch.Size(value),
    "!set": lambda value, tensors: set(rebuild(value, tensors)),
    "!frozenset": lambda value, tensors: frozenset(rebuild(value, tensors)),
    "!bytes": lambda value, _: base64.b64decode(value),
    "!dtype": _dtype,
    "!device": lambda value, _: torch.device(value),
    "!dict": lambda value, tensors: dict(_read_pairs(value, tensors)),
    "!ordered": _ordered,
}
