"""`luthier compare` from end to end: killed after the first run, asked again, one contender of three failing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from luthier.reporting.record import RunRecord
from luthier.reporting.written_report import write_report
from tests.command import luthier as command
from tests.framework.diverging_recipe import DIVERGING

WORDS = (
    "compare", "--beside", "elsewhere/managed", "recipe=zero_shot,lora_sft,diverging", "seeds=1", "debug=tiny",
    "data=demo", "data.limit=80", "evaluation.general_examples=8", "evaluation.samples=1", "evaluation.resamples=200",
)  # fmt: skip
ALONE = {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """The folder, what was there when it was killed, and how the second call ended."""
    place = tmp_path_factory.mktemp("compared")
    (place / "recipes" / "recipe").mkdir(parents=True)
    (place / "recipes" / "recipe" / "diverging.yaml").write_text(DIVERGING)
    elsewhere = RunRecord(name="managed", curves={"loss": [(1, 2.5), (2, 1.75)], "validation_loss": [(2, 1.5)]})
    elsewhere.model.name, elsewhere.training.steps = "amazon.nova-lite-v1:0:300k", 2
    write_report(elsewhere, place / "elsewhere/managed")
    words = [sys.executable, "-m", "luthier", *WORDS]
    killed = subprocess.Popen(
        words, cwd=place, env={**os.environ, **ALONE}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    began = time.monotonic()
    while not (there := list(place.glob("runs/zero_shot-*/record.json"))):
        assert killed.poll() is None
        assert time.monotonic() - began < 120
        time.sleep(0.1)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    made = {path: path.stat().st_mtime_ns for path in there}
    return place, made, command(*WORDS, "--json", cwd=place, **ALONE)


@pytest.fixture(scope="module")
def record(ended):
    return json.loads(ended[2].stdout)


def test_a_killed_comparison_goes_on_without_what_was_finished(ended):
    place, made, again = ended
    assert "zero_shot, run 1 of 1: runs/zero_shot" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert len(list(place.glob("runs/zero_shot-*"))) == 1


def test_a_contender_that_fails_is_named_and_the_others_are_compared(ended, record):
    assert ended[2].returncode == 4, ended[2].stderr
    failed = {one["name"]: one["failed"] for one in record["contenders"]}
    assert failed["diverging"].startswith("exit code 4")
    assert not failed["zero_shot"]
    assert set(record["scores"]["accuracy"]["scores"]) == {"zero_shot", "lora_sft"}
    assert any("diverging failed" in line for line in record["warnings"])


def test_a_training_that_ran_elsewhere_stands_beside_and_is_not_ranked(ended, record):
    shown = {"name": "managed", "folder": "elsewhere/managed", "model": "amazon.nova-lite-v1:0:300k", "steps": 2}
    assert record["beside"] == [{**shown, "loss": 1.75, "validation_loss": 1.5}]
    assert "managed" not in record["scores"]["accuracy"]["scores"]
    assert "--beside elsewhere/managed" in record["command"]
    page = (ended[0] / record["report"]).read_text(encoding="utf-8")
    assert 'href="../../elsewhere/managed/report.html"' in page
    assert "nothing ranks them" in page
    refused = command("compare", "--beside", "recipes", *WORDS[3:], cwd=ended[0])
    assert (refused.returncode, "no record of a run" in refused.stderr) == (3, True)


def test_scores_are_those_of_the_runs(ended, record):
    for one in record["contenders"]:
        for run in one["runs"]:
            scores = json.loads((ended[0] / run / "scores" / "after" / "scores.json").read_text())["scores"]
            for name, found in record["scores"].items():
                assert found["scores"][one["name"]]["by_seed"] == [pytest.approx(scores[name]["value"])]
                assert found["scores"][one["name"]]["low"] == pytest.approx(scores[name]["low"])


def test_the_comparison_says_its_terms(record):
    assert record["score"] == "accuracy"
    assert record["budget"].startswith("2 steps of 2 blocks of 256 tokens")
    assert record["evaluation"]["split"] == "test"
    assert record["evaluation"]["examples"] > 6
    assert re.fullmatch("[0-9a-f]{16}", record["evaluation"]["sha256"])


def test_training_and_answers_have_a_price(record):
    zero, lora, _ = record["contenders"]
    assert zero["training"]["seconds"] == 0
    assert lora["training"]["seconds"] > 0
    assert lora["training"]["steps"] == 2
    assert 0 < lora["training"]["trained"] < 100_000
    assert zero["forgetting"] is None
    assert lora["forgetting"]["verdict"] in {"better", "worse", "not distinguishable"}
    for one in (zero, lora):
        asked = one["inference"]
        assert asked["answers"] == 8
        assert 0 < asked["first_token"] <= asked["seconds"]
        assert asked["prompt_tokens"] > 10
        assert asked["memory"] > asked["weights"] > 0
    assert lora["inference"]["artifact"] > zero["inference"]["artifact"]


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("href", "src")]


def test_the_report_stands_alone_and_each_link_leads_to_a_run(ended, record):
    report = ended[0] / record["report"]
    page = Page(report.read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert page.tags.count("svg") == 2
    assert len(page.links) >= 10
    for link in page.links:
        assert not urlparse(link).scheme
        assert (report.parent / unquote(link.partition("#")[0])).resolve().is_file(), link
    runs = {Path(link.partition("#")[0]).parent.name for link in page.links}
    assert runs == {Path(run).name for one in record["contenders"] for run in one["runs"]} | {"managed"}


def test_asked_again_nothing_runs_and_the_report_is_the_same(ended, record):
    report = ended[0] / record["report"]
    before = report.read_text(encoding="utf-8")
    runs = {path: path.stat().st_mtime_ns for path in (ended[0] / "runs").glob("*_s*/**/*")}
    again = command(
        *[word for word in WORDS if "recipe" not in word], "recipe=zero_shot,lora_sft", cwd=ended[0], **ALONE
    )
    assert again.returncode == 0, again.stderr
    assert "is there already" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in (ended[0] / "runs").glob("*_s*/**/*")} == runs
    assert "contender" in again.stdout
    assert report.read_text(encoding="utf-8") == before


@pytest.mark.exhaustive
def test_a_comparison_over_splits_measures_each_contender_on_all_of_them(tmp_path):
    words = ("compare", "recipe=zero_shot,few_shot", "splits=2", "debug=tiny", "data=demo", "data.limit=40",
             "data.splits.test=0.25", "evaluation.general_examples=0", "evaluation.samples=0",
             "evaluation.resamples=50")  # fmt: skip
    ended = command(*words, "--json", cwd=tmp_path, **ALONE)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["splits"] == 2
    assert [len(one["runs"]) for one in found["contenders"]] == [2, 2]
    accuracy = found["scores"]["accuracy"]["scores"]["zero_shot"]
    assert accuracy["count"] == found["evaluation"]["examples"]
    assert len(accuracy["by_seed"]) == 2
    assert "over data splits" in (tmp_path / found["report"]).read_text(encoding="utf-8")
