"""A training that was stopped in the middle and one that was not, compared bit by bit."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from luthier.testing.twin import twin

FOUR_STEPS = (
    "stages=[fit]", "trainer.max_steps=4", "trainer.checkpoint_every=2", "trainer.keep=0", "optimizer.lr=0.01",
)  # fmt: skip


def assert_resumed_bit_equal(folder: Path, *words: str, plugins: tuple[str, ...] = ()) -> None:
    """AssertionError where four steps in one go and two after a checkpoint of two end with other weights."""
    whole = _weights(folder / "whole", *words, *FOUR_STEPS, plugins=plugins)
    middle = folder / "whole" / "checkpoints" / "step-00000002"
    resumed = _weights(folder / "resumed", *words, *FOUR_STEPS, f"resume={middle}", plugins=plugins)
    assert {name for name, weight in whole.items() if not torch.equal(weight, resumed[name])} == set()


def _weights(folder: Path, *words: str, plugins: tuple[str, ...]) -> dict[str, Tensor]:
    run = twin(folder, *words, plugins=plugins)
    run.carry_out()
    return {name: weight.detach().clone() for name, weight in run.method.network.named_parameters()}
