"""Steps are carried out once: nothing is done again that is there, and a killed pipeline goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command import luthier as command
from tests.framework.pipelines.conftest import TWO

SLOW = """
import os, time
import luthier

@luthier.hookimpl
def luthier_callbacks(config):
    import pytorch_lightning as pl

    class Slow(pl.Callback):
        def on_train_batch_end(self, *_):
            time.sleep(float(os.environ.get("SLOW", 0)))

    return [Slow()]
"""
WORDS = (
    "-p", "slow", "pipeline=two", "debug=tiny", "stages=[fit]", "trainer.max_steps=8", "trainer.epochs=8",
    "answer.trainer.checkpoint_every=2", "batch.length=128",
)  # fmt: skip
ALONE = {"OMP_NUM_THREADS": "1"}


def folder(place: Path) -> Path:
    (place / "recipes" / "pipeline").mkdir(parents=True)
    (place / "recipes" / "pipeline" / "two.yaml").write_text(TWO)
    (place / "slow.py").write_text(SLOW)
    return place


def steps(ended: subprocess.CompletedProcess[str]) -> dict[str, dict]:
    assert ended.returncode == 0, ended.stderr
    return {step["step"]: step for step in json.loads(ended.stdout)["steps"]}


def model(run: Path) -> dict[str, str]:
    files = (run / "artifact").glob("*.safetensors")
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    place = folder(tmp_path_factory.mktemp("whole"))
    found = steps(command(*WORDS, "--json", cwd=place, **ALONE))
    assert not any(step["kept"] for step in found.values())
    return place, found


def test_a_step_starts_from_what_an_earlier_one_left(whole):
    place, found = whole
    manifest = json.loads((place / found["answer"]["run"] / "artifact" / "manifest.json").read_text())
    assert manifest["model"]["name"] == found["read"]["run"]
    assert manifest["model"]["sha256"]


def test_nothing_is_carried_out_twice(whole):
    place, found = whole
    before = {path: path.stat().st_mtime_ns for path in (place / "runs").rglob("*")}
    again = steps(command(*WORDS, "--json", cwd=place, **ALONE))
    assert all(step["kept"] for step in again.values())
    assert {step["run"] for step in again.values()} == {step["run"] for step in found.values()}
    assert {path: path.stat().st_mtime_ns for path in (place / "runs").rglob("*")} == before


def test_a_plan_says_what_is_there_and_writes_nothing(whole):
    place, _ = whole
    before = sorted(place.rglob("*"))
    ended = command("plan", *WORDS, "answer.seed=1", "--json", cwd=place, **ALONE)
    planned = {step["step"]: step for step in json.loads(ended.stdout)["steps"]}
    assert {name: step["state"] for name, step in planned.items()} == {"read": "kept", "answer": "new"}
    assert planned["read"]["plan"] is None
    assert 0 < planned["answer"]["plan"]["weights"]["trained"] < planned["answer"]["plan"]["weights"]["total"]
    assert [path for path in sorted(place.rglob("*")) if "__pycache__" not in str(path)] == [
        path for path in before if "__pycache__" not in str(path)
    ]


def test_a_pipeline_of_which_nothing_is_there_can_be_planned(tmp_path):
    ended = command("plan", *WORDS, "--json", cwd=folder(tmp_path), **ALONE)
    planned = json.loads(ended.stdout)
    assert (ended.returncode, planned["go"]) == (0, True)
    assert planned["steps"][1]["after"] == ["read"]
    assert planned["steps"][1]["plan"]["weights"]["trained"] > 0
    assert not (tmp_path / "runs").exists()


def test_a_changed_second_step_does_not_run_the_first_again_and_a_failure_keeps_its_exit_code(whole):
    place, found = whole
    ended = command(*WORDS, "answer.data=jsonl", "answer.data.file=nowhere.jsonl", "--json", cwd=place, **ALONE)
    assert ended.returncode == 3, ended.stderr
    assert f"{found['read']['run']} is there already" in ended.stderr
    error = json.loads(ended.stderr.splitlines()[-1])
    assert (error["code"], error["resumable"]) == (3, True)
    assert "The step answer" in error["message"]


def test_a_pipeline_killed_with_its_second_step_half_done_goes_on_to_the_very_same_model(whole, tmp_path):
    place, found = folder(tmp_path), whole[1]
    killed = subprocess.Popen(
        [sys.executable, "-m", "luthier", *WORDS], cwd=place, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        env={**os.environ, **ALONE, "SLOW": "0.5"},
    )  # fmt: skip
    second = place / found["answer"]["run"]
    until(lambda: list(second.glob("checkpoints/step-*/MANIFEST.json")), killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    first = (place / found["read"]["run"] / "record.json").stat().st_mtime_ns
    again = steps(command(*WORDS, "--json", cwd=place, **ALONE))  # waits until the step has seen that it is alone
    assert {name: step["kept"] for name, step in again.items()} == {"read": True, "answer": False}
    assert (place / found["read"]["run"] / "record.json").stat().st_mtime_ns == first
    assert json.loads((second / "record.json").read_text())["training"]["resumed_from"].startswith("step-")
    assert model(second) == model(whole[0] / found["answer"]["run"])


def until(there, process, seconds=120.0):
    began = time.monotonic()
    while not there():
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() - began < seconds
        time.sleep(0.1)


def test_a_damaged_artifact_is_made_again(whole):
    place, found = whole
    run = place / found["answer"]["run"]
    file = next((run / "artifact").glob("*.safetensors"))
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    again = steps(command(*WORDS, "--json", cwd=place, **ALONE))
    assert {name: step["kept"] for name, step in again.items()} == {"read": True, "answer": False}
    assert file.read_bytes() == good
