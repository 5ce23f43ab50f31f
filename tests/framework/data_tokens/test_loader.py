"""Batches in order, resumed exactly, from any number of workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from luthier.contracts.batch import Batch, Row
from luthier.data.blocks import Blocks, BlocksWriter
from luthier.data.chunks import Chunk
from luthier.data.loader import Batches, HeldOutLoader, TrainingLoader
from luthier.data.order import Order, permutation
from luthier.data.packing import best_fit, one_each
from luthier.data.saved_place import SavedPlace
from luthier.errors import RecipeError, ResourceError
from tests.framework.data_tokens.test_packing import sequence


@pytest.fixture
def blocks(tmp_path: Path) -> Blocks:
    lengths = np.random.default_rng(0).integers(2, 30, 40)
    writer = BlocksWriter(tmp_path)
    rows = [
        Row((sequence(int(length), 100 * number),), {"margin": float(number)}) for number, length in enumerate(lengths)
    ]
    for begin in range(0, 40, 16):
        writer.add(Chunk(rows[begin : begin + 16]), np.arange(40)[begin : begin + 16])
    writer.close(best_fit(writer.lengths, 32), {})
    return Blocks(tmp_path)


def loader(
    blocks: Blocks, *, size: int = 6, micro: int = 2, world: int = 1, rank: int = 0, workers: int = 0
) -> TrainingLoader:
    return TrainingLoader(Batches(blocks, Order(len(blocks), size, micro, world, seed=1), rank, 32, workers=workers))


def same(one: Batch, other: Batch) -> bool:
    tensors = ("input_ids", "weights", "positions", "segments")
    return (
        all(torch.equal(getattr(one, name), getattr(other, name)) for name in tensors)
        and (one.boundaries, one.examples) == (other.boundaries, other.examples)
        and all(torch.equal(one.values[name], other.values[name]) for name in one.values)
    )


def all_same(some: Iterable[Batch], others: Iterable[Batch]) -> bool:
    return all(same(one, other) for one, other in zip(some, others, strict=True))


def test_an_epoch_gives_every_example_once_and_the_next_in_another_order(blocks):
    load = loader(blocks)
    epochs = [[example for batch in load for example in batch.examples] for _ in range(2)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(40))] * 2
    assert epochs[0] != epochs[1]
    assert len(list(load)) == len(load)


def test_every_batch_has_the_same_shape(blocks):
    assert {tuple(batch.input_ids.shape) for batch in loader(blocks, size=5, micro=2)} == {(2, 32)}


def test_a_rank_without_blocks_gets_fillers_so_that_all_ranks_compute_as_often(blocks):
    ranks = [list(loader(blocks, size=4, micro=1, world=4, rank=rank)) for rank in range(4)]
    assert len({len(batches) for batches in ranks}) == 1
    last = [batches[-1] for batches in ranks]
    assert [len(batch.examples) > 0 for batch in last] == [at < len(blocks) % 4 for at in range(4)]
    filler = last[-1]
    assert not filler.segments.any()
    assert not filler.weights.any()
    assert tuple(filler.input_ids.shape) == (1, 32)


def test_rows_come_out_as_they_went_in(blocks):
    for batch in loader(blocks):
        first = batch.segments.numpy()
        for at in range(len(first)):
            for number in range(1, first[at].max() + 1):
                ids = batch.input_ids[at][torch.from_numpy(first[at] == number)].tolist()
                assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert batch.values["margin"].tolist() == [float(example) for example in batch.examples]


@pytest.mark.parametrize("cut", [0, 1, 4, 5])
def test_a_loader_continues_where_its_state_was_taken(blocks, cut):
    whole = loader(blocks)
    expected = [*whole, *whole]
    first, second = loader(blocks), loader(blocks)
    batches = iter(first)
    taken = [next(batches) for _ in range(cut)]
    second.load_state_dict(first.state_dict())
    rest = [*second, *second]
    found = [*taken, *rest][: len(expected)]
    assert all_same(found, expected)


def test_the_state_after_the_last_batch_of_an_epoch_is_the_start_of_the_next(blocks):
    load = loader(blocks)
    for _ in load:
        pass
    assert load.state_dict()["epoch"] == 1
    assert load.state_dict()["place"] == 0


def test_a_run_continues_on_another_number_of_devices_with_nothing_repeated_or_lost(blocks):
    one = loader(blocks, micro=1)
    batches = iter(one)
    seen = [example for _ in range(6) for example in next(batches).examples]
    ranks = [loader(blocks, micro=1, world=2, rank=rank) for rank in range(2)]
    for rank in ranks:
        rank.load_state_dict(one.state_dict())
        seen += [example for batch in rank for example in batch.examples]
    assert sorted(seen) == list(range(40))


def test_a_state_of_other_data_is_refused(blocks):
    state = loader(blocks).state_dict()
    for name, other in (("data", "0" * 64), ("blocks", 99), ("seed", 2)):
        with pytest.raises(RecipeError, match=str(other)[:12]):
            loader(blocks).load_state_dict({**state, name: other})


@given(
    blocks=st.integers(1, 60), size=st.integers(1, 12), other=st.integers(1, 12), micro=st.integers(1, 12),
    world=st.integers(1, 3), done=st.integers(0, 60),
)  # fmt: skip
def test_batches_of_another_size_take_exactly_the_rest_of_an_epoch_or_are_refused(
    blocks, size, other, micro, world, done
):
    before = Order(blocks, size, micro, 1)
    place = SavedPlace(0, before.place(done % before.steps * before.accumulation), size)
    if other < world:
        return
    now = Order(blocks, other, micro, world)
    if place.place % other and other != size:
        with pytest.raises(RecipeError, match=f"batch.size was {size}, is {other}"):
            place.steps(now, 1)
        return
    first = place.steps(now, 1) * now.accumulation
    rest = [
        block for index in range(first, now.micro_batches) for rank in range(world)
        for block in now.blocks_of(0, index, rank)
    ]  # fmt: skip
    assert rest == list(permutation(0, 0, blocks)[place.place :])
    assert place.steps_left(now, 1, 1) == -(-(blocks - place.place) // other)


def test_worker_processes_give_what_no_worker_gives(blocks):
    assert all_same(loader(blocks, workers=2), loader(blocks))


def test_a_state_taken_while_workers_are_ahead_is_that_of_what_was_handed_out(blocks):
    ahead, alone = loader(blocks, workers=2), loader(blocks)
    next(iter(ahead))
    next(iter(alone))
    assert ahead.state_dict() == alone.state_dict()


def test_loading_leaves_the_random_numbers_of_dropout_alone(blocks):
    before = torch.get_rng_state()
    for workers in (0, 2):
        next(iter(loader(blocks, workers=workers)))
    assert torch.equal(torch.get_rng_state(), before)


class Deadly(Blocks):
    """Kills the worker that reads it, as often as there are bullets."""

    bullets: Path

    def __reduce__(self):
        return Deadly, (self.folder,)

    def rows(self, block: int) -> list[Row]:
        bullets = sorted((self.folder / "bullets").iterdir())
        if bullets:
            bullets[0].unlink()
            time.sleep(0.5)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().rows(block)


@pytest.mark.parametrize("bullets", [1, 2])
def test_a_worker_that_is_killed_is_replaced_once(blocks, bullets):
    (blocks.folder / "bullets").mkdir()
    for number in range(bullets):
        (blocks.folder / "bullets" / str(number)).touch()
    expected = list(loader(blocks))
    deadly = loader(Deadly(blocks.folder), workers=1)
    if bullets == 1:
        assert all_same(deadly, expected)
    else:
        with pytest.raises(ResourceError, match="micro-batch 0 of epoch 0"):
            list(deadly)


def test_held_out_batches_are_the_same_each_time(blocks):
    held_out = HeldOutLoader(Batches(blocks, Order(len(blocks), 4, 2, 2, shuffle=False), 0, 32))
    assert all_same(held_out, held_out)


def test_without_packing_a_batch_is_as_long_as_its_longest_row(tmp_path):
    writer = BlocksWriter(tmp_path)
    writer.add(Chunk([Row((sequence(length),)) for length in (3, 9, 5, 4)]), np.arange(4))
    writer.close(one_each(writer.lengths, 32), {})
    batches = list(HeldOutLoader(Batches(Blocks(tmp_path), Order(4, 2, 2, shuffle=False))))
    assert [tuple(batch.input_ids.shape) for batch in batches] == [(2, 9), (2, 5)]
