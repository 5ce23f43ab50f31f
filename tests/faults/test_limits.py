"""Row 5 of the fault catalogue, and what a scheduler allows: a training ends before its limit, saved and resumable."""

from __future__ import annotations

import json
import time

from luthier.disk.reading import size_of
from luthier.training import checkpoint_files
from tests.command import luthier

RECIPE = (
    "debug=tiny", "stages=[fit]", "name=run", "adaptation=lora", "trainer.epochs=4000", "trainer.max_steps=4000",
    "trainer.checkpoint_every=0",
)  # fmt: skip


def steps(folder):
    return [json.loads(line)["step"] for line in (folder / "runs" / "run" / "metrics.jsonl").read_text().splitlines()]


def test_a_training_saves_and_ends_before_its_seconds_are_over_and_goes_on(tmp_path):
    at = time.monotonic()
    done = luthier(*RECIPE, "--max-time", "4s", "--json", cwd=tmp_path, OMP_NUM_THREADS="1")
    error = json.loads(done.stderr.splitlines()[-1])
    assert done.returncode == error["code"] == 5, done.stderr
    assert error["resumable"]
    assert error["where"] == "trainer.max_seconds"
    assert time.monotonic() - at < 240
    last = steps(tmp_path)[-1]
    newest = checkpoint_files.newest(tmp_path / "runs" / "run" / "checkpoints")
    assert checkpoint_files.step_of(newest) == last < 4000
    again = luthier(
        *RECIPE, f"trainer.max_steps={last + 1}", "resume=auto", cwd=tmp_path, OMP_NUM_THREADS="1"
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert steps(tmp_path) == list(range(1, last + 2))


def test_row_5_a_training_ends_before_its_folder_takes_more_than_it_may(tmp_path):
    done = luthier(
        *RECIPE, "trainer.checkpoint_every=1", "trainer.keep=0", "--max-disk=5MB", "--json", cwd=tmp_path,
        OMP_NUM_THREADS="1",
    )  # fmt: skip
    error = json.loads(done.stderr.splitlines()[-1])
    assert (done.returncode, error["where"], error["resumable"]) == (5, "trainer.max_disk", True), done.stderr
    assert size_of(tmp_path / "runs" / "run") <= 5e6
    assert checkpoint_files.newest(tmp_path / "runs" / "run" / "checkpoints") is not None


def test_a_limit_of_nothing_is_refused(tmp_path):
    done = luthier("plan", "trainer.max_seconds=0", cwd=tmp_path)
    assert done.returncode == 2
    assert "trainer.max_seconds is 0" in done.stdout + done.stderr


def test_a_limit_is_said_with_its_unit(tmp_path):
    done = luthier("debug=tiny", "--max-time", "1.5h", "--max-disk=2TB", "--cfg", "job", cwd=tmp_path)
    assert "max_seconds: 5400\n" in done.stdout
    assert "max_disk: 2000\n" in done.stdout
    done = luthier("debug=tiny", "--max-time", "soon", cwd=tmp_path)
    assert done.returncode == 2
    assert "'soon' is not a time such as 90s, 45m, 2h or 1.5d" in done.stderr
