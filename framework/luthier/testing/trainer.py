"""What every trainer keeps to; inherit it, and say the answer.

class TestMine(TrainerContract):
    answer = "trainer=mine"
"""

from __future__ import annotations

from pathlib import Path

from luthier.testing.part import PartContract
from luthier.testing.resumed import assert_resumed_bit_equal
from luthier.training.trainer import Trainer


class TrainerContract(PartContract):
    """Trains the tiny model with it, on the device that the option file names."""

    def test_it_is_a_trainer(self) -> None:
        assert isinstance(self.built(), Trainer)

    def test_it_takes_the_steps_of_the_recipe(self, tmp_path: Path) -> None:
        run = self.run(tmp_path / "run", "stages=[fit]", "trainer.max_steps=2", "trainer.epochs=2")
        run.carry_out()
        assert (run.end.step, run.end.steps) == (2, 2)
        assert len(run.folder.metrics.read_text(encoding="utf-8").splitlines()) == 2

    def test_a_resumed_training_is_bit_equal(self, tmp_path: Path) -> None:
        words = (*self.recipe(), "trainer.epochs=2")
        assert_resumed_bit_equal(tmp_path, *words, plugins=self.plugins)
