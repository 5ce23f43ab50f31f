"""Blocks, and the tensors made of them."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric.utilities import move_data_to_device

from luthier.contracts.batch import Batch, Row, TokenSequence
from luthier.data.chunks import Chunk
from luthier.data.collate import collate
from luthier.data.overlong import truncated_row
from luthier.data.packing import best_fit


def sequence(length: int, first: int = 0) -> TokenSequence:
    weights = np.ones(length, np.float32)
    weights[0] = 0
    return TokenSequence(np.arange(first, first + length, dtype=np.int32), weights)


@given(st.lists(st.integers(1, 64), max_size=200))
def test_each_row_is_in_one_block_and_no_block_is_too_long(lengths):
    groups = best_fit(np.array(lengths, dtype=np.int64), 64)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    assert all(sum(lengths[row] for row in group) <= 64 for group in groups)


@given(st.lists(st.integers(1, 64), min_size=1, max_size=60))
def test_packing_keeps_the_bound_of_best_fit_decreasing(lengths):
    assert len(best_fit(np.array(lengths, dtype=np.int64), 64)) <= 11 / 9 * -(-sum(lengths) // 64) * 1.25 + 4


def test_packing_is_best_fit_decreasing():
    """As the definition says it: the longest row first, into the fullest block that has room."""
    lengths = np.random.default_rng(0).integers(1, 100, 500)
    rooms: list[int] = []
    for length in sorted(lengths.tolist(), reverse=True):
        fits = [room for room in rooms if room >= length]
        if fits:
            rooms.remove(min(fits))
            rooms.append(min(fits) - length)
        else:
            rooms.append(128 - length)
    groups = best_fit(lengths, 128)
    assert sorted(128 - int(lengths[group].sum()) for group in groups) == sorted(rooms)


def test_packing_a_hundred_thousand_rows_takes_moments():
    """Comparing each row with each block would take minutes."""
    lengths = np.clip(np.random.default_rng(0).lognormal(5, 0.8, 100_000).astype(np.int64), 1, 2048)
    begun = time.process_time()
    best_fit(lengths, 2048)
    assert time.process_time() - begun < 5


def test_a_row_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        best_fit(np.array([65]), 64)
    with pytest.raises(ValueError, match="does not fit"):
        collate([[Row((sequence(7),))]], 6)


def test_sequences_lie_one_after_another_with_positions_and_segments_of_their_own():
    batch = collate([[Row((sequence(3), sequence(2))), Row((sequence(1),))], [], [Row((sequence(7),))]], 7, pad=9)
    assert batch.input_ids.tolist() == [[0, 1, 2, 0, 1, 0, 9], [9] * 7, list(range(7))]
    assert batch.positions.tolist() == [[0, 1, 2, 0, 1, 0, 0], list(range(7)), list(range(7))]
    assert batch.segments.tolist() == [[1, 1, 1, 2, 2, 3, 0], [0] * 7, [1] * 7]
    assert batch.weights.tolist() == [[0, 1, 1, 0, 1, 0, 0], [0] * 7, [0, 1, 1, 1, 1, 1, 1]]
    assert batch.boundaries == (0, 3, 5, 6, 7, 14, 21)
    assert batch.examples == (0, 1, 2)
    assert batch.tokens == 13
    assert [batch.input_ids.dtype, batch.positions.dtype] == [torch.int64] * 2
    assert [batch.weights.dtype, batch.segments.dtype] == [torch.float32, torch.int32]


def test_values_come_in_the_order_of_the_rows():
    rows = [Row((sequence(2),), {"margin": float(number)}) for number in range(3)]
    batch = collate([[rows[0], rows[1]], [rows[2]]], examples=[5, 3, 4])
    assert batch.values["margin"].tolist() == [0.0, 1.0, 2.0]
    assert batch.examples == (5, 3, 4)
    assert batch.input_ids.shape == (2, 4)


def test_lightning_moves_a_batch_to_a_device():
    moved = move_data_to_device(collate([[Row((sequence(3),), {"margin": 1.0})]]), torch.device("meta"))
    assert isinstance(moved, Batch)
    tensors = [moved.input_ids, moved.weights, moved.positions, moved.segments, moved.values["margin"]]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert moved.boundaries == (0, 3)


@given(st.lists(st.integers(2, 40), min_size=1, max_size=4), st.integers(8, 60))
def test_truncating_cuts_the_longest_first_and_fills_the_block(lengths, length):
    row = Row(tuple(sequence(each) for each in lengths), {"margin": 1.0})
    cut = truncated_row(row, length)
    kept = [len(each) for each in cut.sequences]
    assert len(cut) == min(len(row), length)
    assert all(after <= before for after, before in zip(kept, lengths, strict=True))
    shortened = [after for after, before in zip(kept, lengths, strict=True) if after < before]
    assert max(kept) - min(shortened, default=max(kept)) <= 1
    assert cut.values == row.values
    assert Chunk([cut]).trained.tolist() == [max(0, each - 1) for each in kept]
