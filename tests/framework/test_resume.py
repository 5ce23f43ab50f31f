"""`luthier … resume=auto` through the command line: a run killed with SIGKILL ends with the very same model."""

from __future__ import annotations

import hashlib
import json
import signal

import pytest

from tests import command

KILLER = """
import os, signal
import luthier

@luthier.hookimpl
def luthier_callbacks(config):
    import pytorch_lightning as pl

    class Killer(pl.Callback):
        seen = 0

        def on_train_batch_end(self, *_):
            self.seen += 1
            if self.seen == int(os.environ.get("KILL_AT", 0)):
                os.kill(os.getpid(), getattr(signal, os.environ["KILL_WITH"]))

    return [Killer()]
"""
RECIPE = (
    "debug=tiny", "stages=[fit]", "name=run", "trainer.max_steps=9", "trainer.epochs=9", "trainer.checkpoint_every=2",
    "batch.size=3", "batch.micro=1", "batch.length=128", "adaptation=lora",
)  # fmt: skip


def luthier(folder, *overrides, kill=("", 0), again=False):
    folder.mkdir(exist_ok=True)
    (folder / "killer.py").write_text(KILLER)
    return command.luthier(
        "-p", "killer", *RECIPE, *overrides, *(["resume=auto"] if again else []), cwd=folder, KILL_WITH=kill[0],
        KILL_AT=str(kill[1]), PYTHONPATH=str(folder), OMP_NUM_THREADS="1",
    )  # fmt: skip


def model(folder):
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (folder / "runs" / "run" / "artifact").rglob("*.safetensors")
    }


def metrics(folder):
    lines = [json.loads(line) for line in (folder / "runs" / "run" / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"], line["tokens"]) for line in lines]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    done = luthier(folder)
    assert done.returncode == 0, done.stderr
    assert model(folder)
    return folder


@pytest.mark.parametrize("micro", [8, 13, 19])
def test_a_killed_run_continues_bit_equal_packing_and_accumulation_included(whole, tmp_path, micro):
    killed = luthier(tmp_path, kill=("SIGKILL", micro))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "runs" / "run" / "artifact").exists()
    done = luthier(tmp_path, again=True)
    assert done.returncode == 0, done.stderr
    assert model(tmp_path) == model(whole)
    assert metrics(tmp_path) == metrics(whole)


def test_sigterm_ends_with_143_and_the_run_goes_on_from_there(whole, tmp_path):
    ended = luthier(tmp_path, kill=("SIGTERM", 11))
    assert ended.returncode == 143, ended.stderr
    assert "resume=auto" in ended.stderr
    done = luthier(tmp_path, again=True)
    assert done.returncode == 0, done.stderr
    assert model(tmp_path) == model(whole)


def test_a_run_is_not_begun_anew_over_its_checkpoints(whole):
    again = luthier(whole)
    assert again.returncode == 2
    assert "resume=auto" in again.stderr
