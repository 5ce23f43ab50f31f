"""Distributions written as strangers write, installed as wheels: a method, a reward, a strategy with a tracker."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import command

HERE = Path(__file__).parent
STRANGERS = ("patience_school", "word_counts", "terse_rewards", "campfire")
PIP = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]


def pip(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def wheels(tmp_path_factory) -> dict[str, Path]:
    """A wheel of each stranger."""
    sources, made = tmp_path_factory.mktemp("sources"), {}
    for name in STRANGERS:
        shutil.copytree(HERE / name, sources / name)
        pip("wheel", *PIP, "--wheel-dir", str(sources / "wheels" / name), str(sources / name))
        (made[name],) = (sources / "wheels" / name).glob("*.whl")
    return made


@pytest.fixture(scope="session")
def site(wheels, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    pip("install", *PIP, "--target", str(folder), *map(str, wheels.values()))
    return folder


def where(site: Path | None, folder: Path) -> dict[str, str]:
    """What a process is told to find the strangers, and a cache of its own."""
    there = os.pathsep.join(filter(None, [str(site) if site else "", os.environ.get("PYTHONPATH", "")]))
    return {"PYTHONPATH": there, "LUTHIER_CACHE": str(folder / "cache")}


def python(site: Path | None, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "NO_COLOR": "1", **where(site, folder)}
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=environ, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def luthier(site, tmp_path):
    def call(*words: str, installed: bool = True, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = command.luthier(*words, cwd=tmp_path, **where(site if installed else None, tmp_path))
        assert done.returncode == code, done.stderr
        return done

    return call


def test_they_import_of_luthier_its_api_and_its_suites_alone():
    for file in (file for name in STRANGERS for file in (HERE / name).rglob("*.py")):
        imports = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
        names = {str(node.module) for node in imports if str(node.module).partition(".")[0] == "luthier"}
        assert all(name == "luthier.api" or name.startswith("luthier.testing.") for name in names), file


PATIENT = (
    "method=patient", "method.temper.smoothing=0.25", "data=tiny", "model=tiny", "trainer.precision=fp32",
    "optimizer/schedule=constant", "optimizer.lr=0.01", "trainer.max_steps=4", "trainer.epochs=4",
    "trainer.checkpoint_every=2", "trainer.keep=0", "batch.size=2", "stages=[fit]", "evaluation/task=none",
    "evaluation.examples=2", "evaluation.general_examples=2", "evaluation.general_length=32", "evaluation.samples=0",
)  # fmt: skip


def test_a_method_with_a_nested_question_and_a_state_trains_resumes_exactly_is_measured_and_exported(luthier, tmp_path):
    luthier(*PATIENT, "hydra.run.dir=whole")
    shutil.copytree(tmp_path / "whole" / "checkpoints", tmp_path / "cut" / "checkpoints")
    (last,) = (tmp_path / "cut" / "checkpoints").glob("step-*4")
    shutil.rmtree(last)
    luthier(*PATIENT, "hydra.run.dir=cut", "resume=auto")
    whole, cut = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("whole", "cut")
    )
    assert [line["loss"] for line in whole[2:]] == [line["loss"] for line in cut[-2:]]
    assert (tmp_path / "whole" / "artifact" / "model.safetensors").read_bytes() == (
        tmp_path / "cut" / "artifact" / "model.safetensors"
    ).read_bytes()
    luthier("evaluate", "whole", "cut")
    luthier("export", "whole", "plain")
    assert (tmp_path / "plain" / "model.safetensors").is_file()
    refused = luthier("method=patient", "method.floor=2.0", "debug=tiny", code=2)
    assert "method.floor is above method.ceiling." in refused.stderr
    parts = json.loads((tmp_path / "whole" / "artifact" / "manifest.json").read_text())["parts"]
    assert parts["patience.learning.tempers.Remembering"] == {"distribution": "patience-school", "version": "0.4.2"}
    luthier("chat", "whole", "--message", "Hello.", installed=False)  # a method trained it, and is not asked
    missing = luthier("evaluate", "whole", installed=False, code=7)
    assert "patience-school 0.4.2" in missing.stderr
    assert "pip install patience-school==0.4.2" in missing.stderr


def test_a_reward_with_a_dependency_scores_rollouts(luthier, tmp_path):
    words = ("recipe=grpo", "method/reward=density", "method.reward.best=3.0", "method.samples_every=1", "debug=tiny")
    luthier(*words, "hydra.run.dir=run")
    samples = [json.loads(line) for line in (tmp_path / "run" / "rollouts.jsonl").read_text().splitlines()]
    scored = [one for one in samples if one["answer"].split()]
    assert scored
    for one in scored:
        said = one["answer"].split()
        assert one["reward"] == pytest.approx(3 * len(set(one["answer"].lower().split())) / len(said), abs=1e-4)


def test_a_reward_whose_dependency_is_absent_says_what_to_install(wheels, tmp_path):
    pip("install", *PIP, "--target", str(tmp_path / "alone"), str(wheels["terse_rewards"]))
    done = python(tmp_path / "alone", tmp_path, "luthier", "plan", "recipe=grpo", "method/reward=density")
    assert done.returncode == 2, done.stderr
    assert "pip install word-counts" in done.stderr


def test_a_strategy_and_a_tracker_serve_a_run(luthier, tmp_path):
    done = luthier(
        "trainer/strategy=careful", "tracking=diary", "tracking.file=log.txt", "debug=tiny", "trainer.max_steps=2",
        "stages=[fit]", "hydra.run.dir=run",
    )  # fmt: skip
    assert "careful: 2 optimizer steps" in done.stdout + done.stderr
    assert (tmp_path / "run" / "log.txt").read_text().startswith("Step 1: ")


@pytest.mark.exhaustive  # another stranger's own tests run in `make test`
@pytest.mark.parametrize("name", [name for name in STRANGERS if (HERE / name / "tests").is_dir()])
def test_their_own_tests_pass(name, site, tmp_path):
    shutil.copytree(HERE / name / "tests", tmp_path / "tests")
    done = python(site, tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
