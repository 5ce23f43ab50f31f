"""The cache has its room from the start."""

from __future__ import annotations

import torch
from transformers import LlamaConfig

from luthier.inference.generation.kv_cache import RoomyLayer, roomy_cache


def states(rows: int, tokens: int) -> torch.Tensor:
    return torch.randn(rows, 2, tokens, 4)


def test_what_was_written_comes_back_and_stays_where_it_is() -> None:
    layer = RoomyLayer(6)
    first, second = states(3, 4), states(3, 1)
    keys, _ = layer.update(first, first)
    place = keys.data_ptr()
    keys, values = layer.update(second, second)
    assert keys.data_ptr() == place
    assert torch.equal(keys, torch.cat([first, second], dim=2))
    assert torch.equal(values, keys)
    assert layer.get_seq_length() == 5


def test_rows_can_be_repeated_and_dropped_and_grow_on() -> None:
    layer = RoomyLayer(6)
    first = states(2, 4)
    layer.update(first, first)
    layer.batch_select_indices(torch.tensor([0, 0, 1, 1]))
    layer.batch_select_indices(torch.tensor([0, 3]))
    assert torch.equal(layer.keys, first)
    last = states(2, 1)
    keys, _ = layer.update(last, last)
    assert torch.equal(keys, torch.cat([first, last], dim=2))


def test_layers_that_keep_a_window_stay_as_they_are() -> None:
    config = LlamaConfig(num_hidden_layers=2, sliding_window=8, layer_types=["full_attention", "sliding_attention"])
    full, sliding = roomy_cache(config, 10).layers
    assert isinstance(full, RoomyLayer)
    assert sliding.is_sliding
