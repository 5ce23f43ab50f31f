"""What every evaluation task keeps to; inherit it, and say the answer.

class TestMine(TaskContract):
    answer = "evaluation/task=mine"
"""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.evaluation.tasks.task import Task
from luthier.testing.part import PartContract
from luthier.workflows.run import Run


class TaskContract(PartContract):
    """Evaluates the tiny model with the task; `words` choose other data where the task needs columns."""

    @pytest.fixture
    def evaluated(self, tmp_path: Path) -> Run:
        """A run that has measured before training."""
        run = self.run(tmp_path / "run", "stages=[baseline]")
        run.carry_out()
        return run

    def test_it_has_metrics_and_says_whether_its_answers_are_texts(self) -> None:
        task: Task = self.built()
        assert isinstance(task.writes, bool)
        assert all(metric.better in {"higher", "lower"} for metric in task.metrics.values())

    def test_the_run_has_a_score_of_each_metric(self, evaluated: Run) -> None:
        task: Task = self.built()
        assert evaluated.before is not None
        assert task.metrics.keys() <= evaluated.before.measurements.keys()

    def test_the_same_model_gets_the_same_scores(self, evaluated: Run, tmp_path: Path) -> None:
        again = self.run(tmp_path / "again", "stages=[baseline]")
        again.carry_out()
        assert again.before is not None
        assert evaluated.before is not None
        assert {name: score.value for name, score in again.before.items()} == pytest.approx(
            {name: score.value for name, score in evaluated.before.items()}, nan_ok=True
        )
