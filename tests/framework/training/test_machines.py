"""Ranks on several machines: luthier on each, or torchrun or SLURM, which start all of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.command import luthier as command
from tests.framework.cli.conftest import here, luthier, session_cache

__all__ = ["here", "luthier", "session_cache"]

WORDS = ("recipe=quickstart", "debug=tiny", "trainer=ddp", "trainer.accelerator=cpu", "trainer.precision=fp32")
TWO = (*WORDS, "trainer.devices=1", "trainer.num_nodes=2")


def meeting() -> dict[str, str]:
    """Where the machines meet: here."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}


def by_hand(rank: int) -> dict[str, str]:
    return {"NODE_RANK": str(rank)}


def by_slurm(rank: int) -> dict[str, str]:
    said = {"JOB_ID": 4711, "NTASKS": 2, "NTASKS_PER_NODE": 1, "PROCID": rank, "LOCALID": 0, "NODEID": rank}
    said["STEP_NUM_TASKS"] = 2
    return {f"SLURM_{name}": str(value) for name, value in said.items()}


def losses(folder) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("of_rank", "name"), [(by_hand, "two"), (by_slurm, "")], ids=["by hand", "SLURM"])
def test_two_machines_make_the_updates_of_one_process(of_rank, name, tmp_path):
    where, named = meeting(), [f"name={name}"] if name else []
    with ThreadPoolExecutor() as machines:
        ends = list(machines.map(lambda rank: command(*TWO, *named, cwd=tmp_path, **where, **of_rank(rank)), (0, 1)))
    assert [end.returncode for end in ends] == [0, 0], ends[0].stderr + ends[1].stderr
    alone = command(*WORDS, "trainer=cpu", "name=one", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    runs = tmp_path / "runs"
    assert losses(runs / (name or "quickstart-slurm-4711")) == pytest.approx(losses(runs / "one"), abs=1e-5)


def test_a_machine_that_dies_ends_the_other_with_a_checkpoint_and_the_run_resumes_on_one(tmp_path):
    file, where = tmp_path / "runs" / "k" / "metrics.jsonl", {**os.environ, **meeting(), "OMP_NUM_THREADS": "1"}
    words = ["name=k", "trainer.max_steps=40", "trainer.epochs=40", "trainer.checkpoint_every=5", "stages=[fit]"]
    machines = [
        subprocess.Popen(
            [sys.executable, "-m", "luthier", *TWO, *words], cwd=tmp_path, env={**where, **by_hand(rank)},
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    until = time.monotonic() + 120
    while not (file.exists() and file.read_text().count("\n") >= 6):
        assert time.monotonic() < until, machines[0].poll()
        time.sleep(0.02)
    machines[1].send_signal(signal.SIGKILL)
    said = machines[0].communicate(timeout=60)[1]
    machines[1].communicate()
    assert machines[0].returncode == 5, said
    assert "The connection to another rank was lost" in said
    left = len(losses(file.parent))
    assert left < 40, "it was killed on the way"
    end = command(*WORDS, "trainer=cpu", *words, "resume=auto", cwd=tmp_path)
    assert end.returncode == 0, end.stderr
    assert len(losses(file.parent)) == 40


def test_a_machine_that_sees_another_folder_is_refused_when_the_run_begins(tmp_path):
    words, folders = ("name=k", "stages=[fit]", "resume=auto"), [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    begun = command(*WORDS, "trainer=cpu", *words, "trainer.max_steps=1", cwd=folders[0])
    assert begun.returncode == 0, begun.stderr
    where = meeting()
    with ThreadPoolExecutor() as machines:
        first, second = machines.map(
            lambda rank: command(*TWO, *words, cwd=folders[rank], **where, **by_hand(rank)), (0, 1)
        )
    assert (first.returncode, second.returncode) == (5, 5), first.stderr + second.stderr
    assert "The first rank starts from step-00000001, and this one, on " in second.stderr
    assert "they do not see the same folder" in second.stderr
    assert "The connection to another rank was lost" in first.stderr


@pytest.mark.parametrize(
    ("words", "started", "says"),
    [
        (["trainer.devices=2"], {"TORCHELASTIC_RUN_ID": "none"}, "torchrun starts a process of this run, and each"),
        (["trainer.devices=1", "name=a"], {"TORCHELASTIC_RUN_ID": "none"}, "torchrun started 2 processes, and the"),
        (["trainer.devices=1", "trainer.num_nodes=2"], {}, "Each machine starts a process of this run, and each"),
        (["trainer.devices=2", "trainer.num_nodes=3"], by_slurm(0), "srun started 2 processes, and the trainer is"),
    ],
    ids=["a run without a name", "another number", "machines without a name", "another number of tasks"],
)
def test_processes_that_would_not_be_one_run_are_refused(words, started, says, luthier, monkeypatch):
    of_torchrun = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"} if "TORCHELASTIC_RUN_ID" in started else {}
    for name, value in {**started, **of_torchrun}.items():
        monkeypatch.setenv(name, value)
    end = luthier(*WORDS, *words, "--json")
    assert end.code == 2, end.err
    assert end.error["message"].startswith(says)


def test_a_batch_script_of_slurm_that_starts_luthier_once_is_one_process(luthier, monkeypatch):
    for name, value in {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}.items():
        monkeypatch.setenv(name, value)
    end = luthier(*WORDS, "trainer=cpu", "name=batch")
    assert end.code == 0, end.err
