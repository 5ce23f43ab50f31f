"""The order of the data is a function of (seed, epoch, index), whatever the machine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.order import Order, permutation
from luthier.errors import RecipeError


def steps(order: Order, epoch: int = 0) -> list[list[int]]:
    """The blocks of each optimizer step, over all ranks and micro-batches."""
    found: list[list[int]] = [[] for _ in range(order.steps)]
    for index in range(order.micro_batches):
        for rank in range(order.world):
            found[index // order.accumulation] += order.blocks_of(epoch, index, rank).tolist()
    return found


sizes = st.tuples(st.integers(1, 60), st.integers(1, 12), st.integers(1, 6), st.integers(1, 4)).filter(
    lambda given: given[1] >= given[3]
)


@given(sizes)
def test_an_epoch_has_each_block_once_and_steps_are_of_the_given_size(given_sizes):
    blocks, size, micro, world = given_sizes
    found = steps(Order(blocks, size, micro, world))
    assert sorted(block for step in found for block in step) == list(range(blocks))
    assert [len(step) for step in found[:-1]] == [size] * (len(found) - 1)


@given(sizes)
def test_a_step_holds_the_same_blocks_on_any_number_of_devices(given_sizes):
    blocks, size, micro, world = given_sizes
    one = steps(Order(blocks, size, size, 1, seed=3))
    assert [sorted(step) for step in steps(Order(blocks, size, micro, world, seed=3))] == [sorted(step) for step in one]


@given(sizes)
def test_no_micro_batch_is_larger_than_was_asked_for(given_sizes):
    blocks, size, micro, world = given_sizes
    order = Order(blocks, size, micro, world)
    assert order.share <= micro
    assert order.share * order.accumulation * world >= size
    assert order.share * order.accumulation * world < size + order.accumulation * world


@given(sizes, st.integers(0, 100))
def test_a_place_leads_back_to_its_index(given_sizes, index):
    order = Order(*given_sizes)
    index %= order.micro_batches
    assert order.index(order.place(index)) == index


@given(sizes, st.integers(1, 4))
def test_the_end_of_a_step_is_a_place_on_any_number_of_devices(given_sizes, other):
    blocks, size, micro, world = given_sizes
    if size < other or blocks < size:
        return
    place = Order(blocks, size, micro, world).place(Order(blocks, size, micro, world).accumulation)
    moved = Order(blocks, size, micro, other)
    assert moved.index(place) == moved.accumulation


def test_a_place_inside_a_step_that_other_devices_do_not_have_is_refused():
    place = Order(16, 8, 1, 1).place(1)
    with pytest.raises(RecipeError, match="do not begin anew"):
        Order(16, 8, 1, 2).index(place)


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [tuple(permutation(seed, epoch, 50)) for seed in range(3) for epoch in range(3)]
    assert len(set(orders)) == 9
    assert all(sorted(order) == list(range(50)) for order in orders)


def test_the_order_is_the_one_it_has_always_been():
    """A run that was started with one version continues with another."""
    assert permutation(0, 0, 10).tolist() == EXPECTED[0]
    assert permutation(7, 3, 10).tolist() == EXPECTED[1]


def test_held_out_blocks_keep_their_order():
    order = Order(5, 2, 2, shuffle=False)
    assert np.concatenate([order.blocks_of(4, index, 0) for index in range(3)]).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("settings", "where"), [((8, 0, 1), "batch.size"), ((8, 1, 0), "batch.micro"), ((8, 2, 2, 3), "batch.size")]
)
def test_settings_that_cannot_work_are_named(settings, where):
    with pytest.raises(RecipeError) as caught:
        Order(*settings)
    assert caught.value.where == where


EXPECTED = ([3, 2, 1, 8, 6, 0, 7, 4, 5, 9], [2, 4, 7, 3, 5, 1, 8, 9, 0, 6])
