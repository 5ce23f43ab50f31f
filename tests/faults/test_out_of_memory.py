"""Rows 31 and 32 of the fault catalogue: memory that runs out costs the size of micro-batches, not the update."""

from __future__ import annotations

import json

import pytest
import pytorch_lightning as pl
import torch

from luthier.errors import ResourceError
from luthier.records.events import EventLog
from luthier.testing.twin import twin
from luthier.training.checkpoint_io import describe

RECIPE = (
    "stages=[fit]", "adaptation=lora", "data.limit=14", "batch.size=8", "batch.micro=8", "batch.packing=false",
    "trainer.epochs=4", "trainer.max_steps=4", "trainer.checkpoint_every=0", "optimizer.lr=0.01", "optimizer.eps=0.001",
)  # fmt: skip


class Limit(pl.Callback):
    """A device that has room for so many rows of a backward pass, from a step on."""

    def __init__(self, rows, after=0):
        self.rows, self.after = rows, after

    def on_train_batch_start(self, trainer, module, batch, index):
        self.given = batch.input_ids.shape[0]

    def on_before_backward(self, trainer, module, loss):
        if self.given > self.rows and trainer.global_step >= self.after:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def trained(folder, *words, limit=None):
    run = twin(folder, *RECIPE, *words)
    if limit is not None:
        run.callbacks.append(limit)
    run.train()
    return run


def weights(run):
    return torch.cat([weight.detach().flatten() for _, weight in run.method.trainable_weights()])


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_row_31_in_the_first_step_the_run_is_that_of_the_smaller_size(tmp_path):
    small = trained(tmp_path / "small", "batch.micro=2")
    found = trained(tmp_path / "found", limit=Limit(2))
    assert torch.equal(weights(small), weights(found))
    assert losses(tmp_path / "small") == losses(tmp_path / "found")
    assert any("with batch.micro=2 and more accumulation" in warning for warning in found.method.warnings)
    told = [one for one in EventLog(tmp_path / "found" / "events.jsonl").read() if "micro" in one]
    assert [one["micro"] for one in told] == [4, 2]


def test_row_31_later_on_the_curve_stays_and_a_resumed_run_begins_with_the_size_that_was_found(tmp_path):
    whole = trained(tmp_path / "whole")
    cut = trained(tmp_path / "cut", limit=Limit(4, after=2))
    assert losses(tmp_path / "cut") == pytest.approx(losses(tmp_path / "whole"), abs=1e-5)
    assert torch.allclose(weights(whole), weights(cut), atol=1e-5)
    assert describe(max((tmp_path / "cut" / "checkpoints").iterdir())).run["micro"] == 4
    again = trained(tmp_path / "cut", "trainer.max_steps=5", "resume=auto", limit=Limit(4))
    assert again.data.micro == 4
    assert not [warning for warning in again.method.warnings if "Memory ran out" in warning]
    assert len(losses(tmp_path / "cut")) == 5


def test_row_32_where_one_row_is_too_much_the_run_ends_with_ranked_ways_out_and_can_be_resumed(tmp_path):
    with pytest.raises(ResourceError) as caught:
        trained(tmp_path / "run", "batch.micro=2", limit=Limit(0, after=2))
    assert caught.value.code == 5
    assert caught.value.resumable
    assert caught.value.where == "step 3"
    assert "What helps most: 1. model.gradient_checkpointing=true" in caught.value.hint
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000002"]
