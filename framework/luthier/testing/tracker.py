"""What every tracker keeps to; inherit it, and say the answer.

class TestMine(TrackerContract):
    answer = "tracking=mine"
"""

from __future__ import annotations

import json
from pathlib import Path

from pytorch_lightning.loggers import Logger

from luthier.records.folder import RunFolder
from luthier.testing.part import PartContract


class TrackerContract(PartContract):
    """Tracks a tiny run, offline and within its folder."""

    def test_it_gives_loggers_of_lightning(self, tmp_path: Path) -> None:
        folder = RunFolder(tmp_path / "run")
        folder.create()
        loggers = self.built()(folder)
        assert isinstance(loggers, list)
        assert all(isinstance(logger, Logger) for logger in loggers)

    def test_a_run_is_tracked_without_a_fault(self, tmp_path: Path) -> None:
        run = self.run(tmp_path / "run", "trainer.log_every=1")
        run.carry_out()
        assert run.parts.tracking.faults == []

    def test_a_run_is_the_same_with_it(self, tmp_path: Path) -> None:
        steps = []
        for name, words in (("tracked", ()), ("alone", ("tracking=none",))):
            run = self.run(tmp_path / name, *words, "stages=[fit]")
            run.carry_out()
            lines = run.folder.metrics.read_text(encoding="utf-8").splitlines()
            steps.append([json.loads(line)["loss"] for line in lines])
        assert steps[0] == steps[1]
