"""A key-value cache allocated at its final length, so that no decoding step copies it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from luthier.models.wrappers import unwrapped


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values of one layer in preallocated buffers [B, H, room, D]; reads are views of them."""

    def __init__(self, room: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.room, self.length = room, 0

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
            self._buffers = [self._empty(states, len(states)) for states in (key_states, value_states)]
        start, self.length = self.length, self.length + key_states.shape[-2]
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, start : self.length] = states
        return self._view()

    def batch_select_indices(self, indices: Tensor) -> None:
        fresh = [self._empty(buffer, len(indices)) for buffer in self._buffers]
        for new, old in zip(fresh, self._buffers, strict=True):
            new[:, :, : self.length] = old[indices, :, : self.length]
        self._buffers = fresh
        self._view()

    def get_seq_length(self) -> int:
        return self.length

    def _empty(self, like: Tensor, rows: int) -> Tensor:
        return like.new_empty(rows, like.shape[1], self.room, like.shape[3])

    def _view(self) -> tuple[Tensor, Tensor]:
        self.keys, self.values = (buffer[:, :, : self.length] for buffer in self._buffers)
        return self.keys, self.values


def select_rows(cache: Any, rows: Tensor) -> None:
    """Go on with these rows of a cache, int64 [n], in this order; a row may come several times.

    transformers selects keys and values alone: what layers with a state keep is selected here.
    """
    for layer in getattr(cache, "layers", None) or ():
        if hasattr(layer, "batch_select_indices") and getattr(layer, "is_initialized", True):
            layer.batch_select_indices(rows)
        for name in ("conv_states", "recurrent_states"):
            states: dict[int, Tensor | None] = getattr(layer, name, None) or {}
            for number, state in states.items():
                if state is not None:
                    states[number] = state.index_select(0, rows)
    if not hasattr(cache, "layers"):
        cache.batch_select_indices(rows)


def kv_cache_for(network: nn.Module, room: int) -> Any:
    """A cache for `room` tokens a row: made by the network's own `new_cache`, else preallocated."""
    inner: Any = unwrapped(network)
    made = getattr(inner, "new_cache", None)
    return made(room) if made is not None else roomy_cache(inner.config.get_text_config(), room)


def roomy_cache(config: Any, room: int) -> DynamicCache:
    """A cache for `room` tokens a row; layers that keep only a window or a state stay as transformers has them."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer(room) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
