from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.cli import main as cli


def luthier(*words):
    """The command in this process; gives its exit code."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    return ended.value.code


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two small runs of the demo's recipe that differ in their learning rate."""
    folder = tmp_path_factory.mktemp("runs")
    evaluation = ["evaluation.examples=24", "evaluation.general_examples=4", "evaluation.samples=0"]
    settings = ["trainer.max_steps=3", "stages=[fit,evaluate]", *evaluation]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, rate in (("slow", 1e-4), ("fast", 1e-2)):
            assert luthier("recipe=demo", *settings, f"optimizer.lr={rate}", f"hydra.run.dir={folder / name}") == 0
    return folder


def test_runs_are_measured_on_the_same_examples_and_compared(runs, monkeypatch, capsys):
    monkeypatch.chdir(runs)
    assert luthier("evaluate", "slow", "fast", "--json") == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert list(found["models"]) == ["slow", "fast"]
    assert found["models"]["fast"]["scores"]["loss"]["count"] == 24
    assert found["changes"]["fast"]["loss"]["verdict"] == "better"
    before, after = (found["models"][name]["scores"]["loss"]["value"] for name in ("slow", "fast"))
    assert found["changes"]["fast"]["loss"]["change"]["value"] == pytest.approx(after - before)
    assert "warning" not in told.err
    for name in ("slow", "fast"):
        in_the_run = json.loads(Path(name, "scores", "after", "scores.json").read_text())["scores"]
        assert found["models"][name]["scores"] == in_the_run


def test_a_model_that_was_trained_on_the_examples_is_pointed_at(runs, monkeypatch, capsys):
    monkeypatch.chdir(runs)
    assert luthier("evaluate", "slow", "--split", "train", "--examples", "4") == 0
    told = capsys.readouterr()
    assert "warning: slow was trained on" in told.err
    assert "held-out loss (lower is better, n = 4)" in told.out
    assert max(map(len, told.out.splitlines())) <= 80


def test_a_split_or_a_run_that_is_not_there_is_named(runs, monkeypatch, capsys):
    monkeypatch.chdir(runs)
    assert luthier("evaluate", "slow", "--split", "exam") == 3
    assert "has no split 'exam'" in capsys.readouterr().err
    assert luthier("evaluate", "nobody") == 2
    assert "nobody holds no artifact" in capsys.readouterr().err
