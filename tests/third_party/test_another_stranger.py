"""Another stranger: a kind of file and a method that asks; everything that looks at recipes knows them."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import command
from tests.architecture.sources import ROOT, modules

HERE = Path(__file__).parent
TANKA = "# wood {}\nold maple table\nthe plane sings along it\n{} curls on the floor\nnobody sweeps\nevening has come\n"
POEMS = "\n".join(TANKA.format(number, number) for number in range(40))


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """A folder of installed packages with luthier-tanka in it."""
    source = tmp_path_factory.mktemp("source") / "luthier_tanka"
    shutil.copytree(HERE / "luthier_tanka", source)
    folder = tmp_path_factory.mktemp("site")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, str(source)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def luthier(site, tmp_path):
    """The command line where the stranger is installed, in a folder with poems."""
    (tmp_path / "poems.tanka").write_text(POEMS)

    def call(*words: str, installed: bool = True, code: int = 0) -> subprocess.CompletedProcess[str]:
        environ = {"LUTHIER_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(site) if installed else ""}
        done = command.luthier(*words, cwd=tmp_path, **environ)
        assert done.returncode == code, done.stderr
        return done

    return call


def test_it_is_listed_with_its_distribution_and_what_it_brings(luthier):
    plugins = {one["name"]: one for one in json.loads(luthier("plugins", "--json").stdout)}
    assert plugins["tanka"]["distribution"] == "luthier-tanka 0.3.1"
    assert {"data=tanka", "method=cadence", "method/objective=focal"} <= set(plugins["tanka"]["answers"])
    assert plugins["tanka"]["hooks"] == ["luthier_check", "luthier_recipes"]


def test_its_objective_for_pairs_trains_by_a_method_that_does_not_know_it(luthier, tmp_path):
    words = ["method=dpo", "method/objective=couplet", "method.objective.patience=2.0", "debug=tiny"]
    luthier(*words, "adaptation=lora", f"hydra.run.dir={tmp_path / 'run'}")
    first = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert first["margin"] == 0
    assert first["loss"] != pytest.approx(math.log(2), rel=1e-3)
    assert "luthier_tanka.objectives.couplet" in (tmp_path / "run" / "resolved.yaml").read_text()
    refused = luthier("method=dpo", "method/objective=focal", "debug=tiny", code=2)
    assert "is not an objective for pairs" in refused.stderr


def test_its_reward_and_its_advantage_train_by_a_method_that_does_not_know_them(luthier, tmp_path):
    words = ["recipe=grpo", "method/reward=five_lines", "method/advantage=ranked", "method.advantage.spread=2.0"]
    luthier(
        *words, "method.reward.lines=1", "method.samples_every=1", "debug=tiny", f"hydra.run.dir={tmp_path / 'run'}"
    )
    samples = [json.loads(line) for line in (tmp_path / "run" / "rollouts.jsonl").read_text().splitlines()]
    for one in samples:
        lines = len([line for line in one["answer"].splitlines() if line.strip()])
        assert one["reward"] == max(0.0, 1.0 - abs(lines - 1))
    group = [one["reward"] for one in samples[:8]]
    beats = [sum((mine > other) - (mine < other) for other in group) / 8 for mine in group]
    assert [one["advantage"] for one in samples[:8]] == pytest.approx([2 * share for share in beats], abs=1e-3)
    assert "luthier_tanka.rewards.ranked" in (tmp_path / "run" / "resolved.yaml").read_text()


def test_its_answers_are_explained_offered_and_checked_like_any_other(luthier):
    assert "Lin et al., 2017" in luthier("explain", "method/objective=focal").stdout
    assert "asks method/objective" in luthier("explain", "method=cadence").stdout
    assert "focal" in luthier("recipes", "method/objective").stdout
    assert "Did you mean focal?" in luthier("recipe=tanka", "method/objective=focl", code=2).stderr
    wrong = luthier("recipe=tanka", "data.file=poems.tanka", "method.objective.gama=1", code=2)
    assert "method.objective.gamma" in wrong.stderr
    assert "a number" in luthier("recipe=tanka", "data.file=a", "method.objective.gamma=big", code=2).stderr
    assert '"method=cadence"' in luthier("schema").stdout


def test_its_check_is_heard(luthier):
    end = luthier("recipe=tanka", "data.file=poems.tanka", "method.last_line=-1", code=2)
    assert "no line weighs less than nothing" in end.stderr


def test_its_data_is_planned_and_previewed(luthier):
    found = json.loads(luthier("plan", "recipe=tanka", "data.file=poems.tanka", "--json").stdout)
    assert found["data"]["counts"]["read"] == 40
    assert found["steps"]["count"] == 3
    (ledger,) = json.loads(luthier("preview", "recipe=tanka", "data.file=poems.tanka", "--json").stdout)
    assert {token["weight"] for token in ledger["tokens"]} == {0.0, 1.0, 2.0}


def test_a_fault_in_its_data_has_file_and_line(luthier, tmp_path):
    (tmp_path / "poems.tanka").write_text(POEMS + "\n# short\none line\n")
    end = luthier("plan", "recipe=tanka", "data.file=poems.tanka", code=3)
    assert "poems.tanka:281" in end.stdout
    assert "five lines" in end.stdout


def test_its_method_trains_on_its_data_and_the_artifact_is_talked_to(luthier, tmp_path):
    luthier("recipe=tanka", "data.file=poems.tanka", "name=poet")
    run = tmp_path / "runs" / "poet"
    record = json.loads((run / "record.json").read_text())
    assert record["training"]["steps"] == 3
    assert "luthier_tanka.cadence.Cadence" in (run / "resolved.yaml").read_text()
    answer = json.loads(luthier("chat", "runs/poet", "--message", "A tanka about maple.", "--json").stdout)
    assert answer["tokens"] > 0


def test_its_recipe_has_a_tiny_twin_too(luthier):
    luthier("recipe=tanka", "debug=tiny", "name=twin")


def test_without_it_nothing_of_it_is_there(luthier):
    assert "method=cadence" in luthier("method=cadence", installed=False, code=2).stderr
    assert "tanka" not in luthier("--help", installed=False).stdout


def test_its_own_tests_pass(site, tmp_path):
    shutil.copytree(HERE / "luthier_tanka" / "tests", tmp_path / "tests")
    environ = {**os.environ, "PYTHONPATH": str(site)}
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_nothing_in_luthier_knows_it():
    for name, module in modules().items():
        assert "tanka" not in module.file.read_text(encoding="utf-8").lower(), name
    for file in ROOT.glob("recipes/**/*.yaml"):
        assert "tanka" not in file.read_text(encoding="utf-8").lower(), file
