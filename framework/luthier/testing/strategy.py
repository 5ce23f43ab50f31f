"""What every distributed strategy keeps to; inherit it, and say the answer.

class TestMine(StrategyContract):
    answer = "trainer/strategy=mine"
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from pytorch_lightning.strategies import Strategy as LightningStrategy
from safetensors.torch import load_file

from luthier.testing.method import update
from luthier.testing.part import PartContract
from luthier.testing.ranks import two_ranks

TRAINED = ("stages=[fit]", "trainer.precision=fp32", "batch.packing=false", "optimizer.lr=0.01", "optimizer.eps=0.001")


class StrategyContract(PartContract):
    """Trains the tiny model on one process and, unless it `cannot` have `ranks`, on two."""

    cannot: ClassVar[frozenset[str]] = frozenset()

    def test_it_gives_a_strategy_of_lightning(self) -> None:
        assert isinstance(self.built()(), LightningStrategy | str)

    def test_each_training_has_a_strategy_of_its_own(self) -> None:
        part = self.built()
        first, second = part(), part()
        assert isinstance(first, str) or first is not second

    def test_two_ranks_make_the_update_of_one(self, tmp_path: Path) -> None:
        if "ranks" in self.cannot:
            return
        alone = update(tmp_path / "alone", *TRAINED, "batch.micro=2").weights
        known = {name.removeprefix("network."): weight for name, weight in alone.items()}
        words = ("trainer=ddp", *self.recipe(), *TRAINED, "batch.micro=2")
        first, *others = map(load_file, two_ranks(tmp_path / "ranks", *_steps(words), plugins=self.plugins))
        assert first.keys() == known.keys()
        for name, weight in first.items():
            assert all(torch.equal(weight, other[name]) for other in others), name
            torch.testing.assert_close(weight, known[name], atol=1e-4, rtol=1e-3)


def _steps(words: tuple[str, ...]) -> tuple[str, ...]:
    from luthier.testing.method import STEPS

    return (*STEPS, *words)
