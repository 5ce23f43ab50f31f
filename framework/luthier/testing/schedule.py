"""What every schedule of the learning rate keeps to; inherit it, and say the answer.

class TestMine(ScheduleContract):
    answer = "optimizer/schedule=mine"
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from luthier.testing.part import PartContract
from luthier.training.optimizers.schedules import Schedule


class ScheduleContract(PartContract):
    """Asks for the factor of each step of trainings of several lengths."""

    @pytest.mark.parametrize("total", [1, 2, 7, 100])
    def test_each_step_has_a_factor_from_0_to_1(self, total: int) -> None:
        schedule = self._schedule()
        factors = [schedule(step, total) for step in range(total)]
        assert all(math.isfinite(factor) and 0 <= factor <= 1 for factor in factors), factors
        assert max(factors) > 0

    def test_the_factor_follows_from_the_step_alone(self) -> None:
        """A resumed training asks a new schedule for the steps that are left."""
        used = self._schedule()
        there = [used(step, 20) for step in range(20)]
        fresh = self._schedule()
        assert [fresh(step, 20) for step in reversed(range(20))] == there[::-1]

    def test_a_training_moves_by_it(self, tmp_path: Path) -> None:
        run = self.run(tmp_path / "run", "stages=[fit]")
        run.carry_out()
        assert run.end.step == 2

    def _schedule(self) -> Schedule:
        built: Schedule = self.built()
        return built
