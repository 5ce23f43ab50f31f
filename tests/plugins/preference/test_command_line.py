"""Preferences as a user learns from them: a run, its report, and the run measured again."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.command import luthier


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DPO on all weights, with a validation split."""
    folder = tmp_path_factory.mktemp("preference")
    words = ("data.splits.validation=0.2", "data.splits.test=0.3", "optimizer.lr=1e-3", "trainer.validate_every=1")
    run = folder / "run"
    done = luthier(
        "method=dpo", "adaptation=full", "debug=tiny", *words, f"hydra.run.dir={run}",
        LUTHIER_CACHE=str(folder / "cache"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return run


def test_the_report_compares_pairs_and_speaks_of_no_perplexity(run: Path) -> None:
    record = json.loads((run / "record.json").read_text())
    measured = {each["name"]: each for each in record["comparisons"]}
    pairs = {"preference_accuracy", "chosen_log_prob", "rejected_log_prob", "reward_accuracy", "reward_margin"}
    assert {"loss", "general_loss", *pairs} <= set(measured)
    assert "perplexity" not in measured
    assert measured["reward_accuracy"]["before"]["value"] == 0.5
    assert measured["reward_margin"]["before"]["value"] == 0.0
    assert measured["reward_margin"]["after"]["value"] != 0.0
    assert "computed once: " in record["method"]["Reference"]
    assert "computed once: " in (run / "report.html").read_text()
    table = list(csv.DictReader((run / "artifact" / "step_wise_training_metrics.csv").open()))
    assert {row["perplexity"] for row in table} == {""}


def test_each_step_says_margins_lengths_and_drift(run: Path) -> None:
    first, last = (json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines())
    assert first["margin"] == pytest.approx(0, abs=1e-3)
    assert last["margin"] != 0
    told = {"accuracy", "chosen_ratio", "rejected_ratio", "chosen_tokens", "rejected_tokens", "kl", "chosen_log_prob"}
    assert told <= first.keys()
    assert set(told) <= set(json.loads((run / "record.json").read_text())["curves"])


def test_a_finished_run_is_measured_again_against_the_model_that_it_came_from(run: Path) -> None:
    done = luthier("evaluate", str(run), "--json", LUTHIER_CACHE=str(run.parent / "another_cache"))
    assert done.returncode == 0, done.stderr
    again = next(iter(json.loads(done.stdout)["models"].values()))["scores"]
    before = {each["name"]: each["after"] for each in json.loads((run / "record.json").read_text())["comparisons"]}
    for name in ("loss", "reward_margin", "preference_accuracy"):
        assert again[name]["value"] == pytest.approx(before[name]["value"], rel=1e-4, abs=1e-5)


def test_a_plan_says_what_the_reference_takes() -> None:
    planned = json.loads(luthier("plan", "method=dpo", "adaptation=full", "debug=tiny", "--json").stdout)
    assert planned["memory"]["reference"] == 24 * planned["data"]["splits"]["train"]
    switched = json.loads(luthier("plan", "method=dpo", "adaptation=lora", "debug=tiny", "--json").stdout)
    assert "reference" not in switched["memory"]
