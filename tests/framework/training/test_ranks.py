"""Two ranks: one job, one end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from luthier.training import checkpoint_files
from tests.framework.training.test_exact_resume import events, lines
from tests.framework.training.test_stopping_exactly import STOPS, left, waits

SCRIPT = Path(__file__).with_name("rank_training.py")


def start(folder, **order):
    folder.parent.mkdir(exist_ok=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LOCAL_RANK", "MASTER_"))}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), json.dumps({"folder": str(folder), **order})],
        stderr=subprocess.PIPE, env={**clean, "OMP_NUM_THREADS": "1"}, text=True,
    )  # fmt: skip


def finish(folder, **order):
    process = start(folder, **order)
    said = process.communicate(timeout=200)[1]
    return process.returncode, said


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks") / "whole"
    code, said = finish(folder)
    assert code == 0, said
    return folder


def test_two_ranks_train_and_leave_neither_group_nor_variables_behind(whole):
    assert [line["tokens"] for line in lines(whole)] == [32, 32, 32, 32, 32, 16] * 2, "of both ranks"
    assert [event["event"] for event in events(whole, "training")] == ["training"], "only the first rank writes"


def test_a_killed_rank_takes_the_other_down_and_the_run_resumes_bit_equal(whole, tmp_path):
    at = time.monotonic()
    code, said = finish(tmp_path / "run", rank_fault=["batch_start", 8, "SIGKILL", 1])
    assert code == 5, said
    assert "Rank 1 was killed by SIGKILL" in said
    assert time.monotonic() - at < 60
    assert checkpoint_files.step_of(checkpoint_files.newest(tmp_path / "run" / "checkpoints")) == 3
    code, said = finish(tmp_path / "run", resume="auto")
    assert code == 0, said
    assert (tmp_path / "run" / "weights").read_text() == (whole / "weights").read_text()
    assert [line["step"] for line in lines(tmp_path / "run")] == list(range(1, 13))


@pytest.mark.exhaustive
def test_two_ranks_that_were_killed_stop_at_the_same_step_and_keep_the_same_best(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "run"
    code, said = finish(whole, **STOPS)
    assert code == 0, said
    assert lines(whole)[-1]["step"] < 54, "it stopped before its last step"
    assert finish(cut, **STOPS, rank_fault=["batch_start", 9, "SIGKILL", 1])[0] == 5
    assert finish(cut, **STOPS, resume="auto", rank_fault=["batch_end", 1, "SIGTERM", 1])[0] == 143
    code, said = finish(cut, **STOPS, resume="auto")
    assert code == 0, said
    assert left(cut) == left(whole)


def test_two_ranks_validate_after_the_same_steps_by_the_clock_of_the_first(tmp_path):
    code, said = finish(tmp_path / "run", epochs=6, every_seconds=0.03, divergence=100)
    assert code == 0, said
    assert len(waits(tmp_path / "run")) > 2
    for with_last, without in waits(tmp_path / "run")[:-1]:
        assert with_last > 0.03 - 1e-4
        assert without < 0.03 + 1e-4


def test_a_rank_that_does_not_start_ends_the_run_with_its_code(tmp_path):
    at = time.monotonic()
    code, said = finish(tmp_path / "run", rank_fault=["startup", 0, "", 1])
    assert code == 4
    assert "Rank 1 ended with exit code 4" in said
    assert time.monotonic() - at < 90


def test_a_signal_to_any_rank_saves_once_and_ends_all(tmp_path):
    code, said = finish(tmp_path / "run", every=100, rank_fault=["batch_start", 5, "SIGTERM", 1])
    assert code == 143, said
    assert checkpoint_files.step_of(checkpoint_files.newest(tmp_path / "run" / "checkpoints")) == 3
    assert [line["step"] for line in lines(tmp_path / "run")] == [1, 2, 3]


def test_a_loss_that_is_not_finite_on_one_rank_ends_all_with_4(tmp_path):
    code, said = finish(tmp_path / "run", validate=False, rank_fault=["batch_start", 8, "loss", 1])
    assert code == 4, said
    assert lines(tmp_path / "run")[-1]["step"] == 4


def test_ranks_do_not_outlive_the_first(tmp_path):
    process = start(tmp_path / "run", epochs=2000, validate=False)
    file, until = tmp_path / "run" / "metrics.jsonl", time.monotonic() + 120
    while not (file.exists() and file.read_text().count("\n") >= 2):
        assert time.monotonic() < until, process.poll()
        time.sleep(0.05)
    ranks = psutil.Process(process.pid).children(recursive=True)
    assert ranks
    process.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(ranks, timeout=20)
    assert alive == []
    process.communicate()


def test_a_rank_that_stands_still_by_a_signal_is_named_with_stacks_and_ends_the_run(tmp_path):
    at = time.monotonic()
    code, said = finish(tmp_path / "run", rank_fault=["batch_start", 8, "SIGSTOP", 1], hang_after=600)
    assert code == 5, said
    assert "was stopped by a signal for more than 15 s, and rank 0 waits for it" in said
    assert time.monotonic() - at < 120
    (hung,) = events(tmp_path / "run", "hung")
    assert (hung["rank"], hung["stopped"]) == (1, True)
    assert "rank_training.py" in (tmp_path / "run" / "stacks-0.txt").read_text()
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(one.info["cmdline"] or ())]
    assert checkpoint_files.step_of(checkpoint_files.newest(tmp_path / "run" / "checkpoints")) == 3


@pytest.mark.exhaustive
def test_a_first_rank_that_stands_still_is_named_by_another_and_ends_when_it_is_let_go_on(tmp_path):
    code, said = finish(tmp_path / "run", rank_fault=["batch_start", 8, "SIGSTOP", 0], hang_after=600)
    assert code == 5, said
    assert "Rank 0 (process" in said
    assert "and rank 1 waits for it" in said
    assert "rank_training.py" in (tmp_path / "run" / "stacks-1.txt").read_text()
