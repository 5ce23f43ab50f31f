"""`luthier sweep-report`: what is shown of a sweep, its best as a recipe; a job is pruned from inside."""

from __future__ import annotations

import json
import re

import optuna
import pytest
import yaml
from optuna.distributions import CategoricalDistribution, FloatDistribution

from luthier.workflows.sweeps.study import OBJECTIVES, WORDS, pruner_named, storage
from tests.command import luthier as command
from tests.framework.cli.conftest import here, luthier, session_cache, write  # noqa: F401

LR = FloatDistribution(1e-5, 1e-2, log=True)
TINY = (
    "recipe=lora_sft", "debug=tiny", "data=demo", "data.limit=80", "data.splits.validation=0.2", "score=loss",
    "evaluation.general_examples=0", "evaluation.samples=0",
)  # fmt: skip


@pytest.fixture
def study(here):  # noqa: F811
    folder = here / "sweeps" / "s"
    folder.mkdir(parents=True)
    made = optuna.create_study(storage=storage(folder), study_name="optuna", sampler=optuna.samplers.RandomSampler(0))
    made.set_user_attr(OBJECTIVES, ["loss"])
    for number in range(12):
        trial = made.ask({"optimizer.lr": LR, "adaptation": CategoricalDistribution(["lora", "full"])})
        words = ["model=tiny" if word == "debug=tiny" else word for word in TINY]
        words += [*(f"{key}={value}" for key, value in trial.params.items()), "name=s"]
        trial.set_user_attr(WORDS, words)
        trial.report(5.0, 1)
        made.tell(trial, 100 * trial.params["optimizer.lr"]) if number < 10 else None
        if number == 10:
            made.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif number == 11:
            trial.set_user_attr("failed", "The loss is nan.")
            made.tell(trial, state=optuna.trial.TrialState.FAIL)
    return made


def test_it_shows_trials_the_best_and_what_matters(luthier, study, here):  # noqa: F811
    found = luthier("sweep-report", "sweeps/s", "--json").record
    states = [trial["state"] for trial in found["trials"]]
    assert states == ["finished"] * 10 + ["pruned", "failed"]
    assert found["best"] == [study.best_trial.number]
    assert found["importance"]["optimizer.lr"]["value"] > found["importance"]["adaptation"]["value"]
    page = (here / found["report"]).read_text()
    assert "<script" not in page
    assert "http" not in re.sub(r"http-equiv", "", page)
    assert page.count("<polyline") == 10 + 12, "a line for each finished trial, a curve for each that reported"
    assert "The loss is nan." in page


def test_its_best_as_a_recipe_is_the_run_of_that_trial(luthier, study, here):  # noqa: F811
    ended = luthier("sweep-report", "sweeps/s", "--recipe", "best")
    assert "luthier recipe=best" in ended.out, ended.err
    config = yaml.safe_load(luthier("recipe=best", "--cfg", "job").out)
    best = study.best_trial.params
    assert config["optimizer"]["lr"] == pytest.approx(best["optimizer.lr"])
    assert (config["data"]["limit"], config["score"]) == (80, "loss")
    assert ("rank" in config["adaptation"]) == (best["adaptation"] == "lora")
    again = luthier("sweep-report", "sweeps/s", "--recipe", "best")
    assert again.code == 2
    assert "is there already" in again.err


@pytest.mark.usefixtures("here")
def test_a_folder_without_a_sweep_is_refused(luthier):  # noqa: F811
    ended = luthier("sweep-report", "nowhere")
    assert ended.code == 2
    assert "There is no sweep in nowhere" in ended.err


@pytest.mark.parametrize("others", [0.1, 99.0], ids=["worse than the others", "better"])
def test_a_job_is_pruned_from_inside_where_it_is_worse_than_the_median(tmp_path, others):
    sweep = tmp_path / "sweeps" / "p"
    sweep.mkdir(parents=True)
    made = optuna.create_study(storage=storage(sweep), study_name="optuna", pruner=pruner_named("median"))
    for _ in range(4):
        trial = made.ask({"optimizer.lr": LR})
        trial.report(others, 1)
        trial.report(others, 2)
        made.tell(trial, others)
    made.ask({"optimizer.lr": LR})
    told = json.dumps({"sweep": str(sweep), "number": 4, "pruner": "median"})
    ended = command(
        *TINY, "stages=[fit]", "trainer.max_steps=3", "trainer.epochs=9", "trainer.validate_every=1",
        "trainer.monitor=loss", f"hydra.run.dir={sweep / '4'}", "--json", cwd=tmp_path, OMP_NUM_THREADS="1",
        LUTHIER_TRIAL=told,
    )  # fmt: skip
    values = optuna.load_study(study_name="optuna", storage=storage(sweep)).trials[4].intermediate_values
    if others < 1:
        assert ended.returncode == 5
        assert "Pruned by the sweep (median): held-out loss" in ended.stderr
        assert json.loads((sweep / "4" / "pruned.json").read_text())["step"] == 1
        assert list(values) == [1]
        assert not (sweep / "4" / "artifact").exists()
    else:
        assert ended.returncode == 0, ended.stderr
        assert list(values) == [1, 2, 3]
        assert not (sweep / "4" / "pruned.json").exists()


def test_pruning_without_values_on_the_way_is_refused(tmp_path):
    told = json.dumps({"sweep": str(tmp_path), "number": 0, "pruner": "median"})
    ended = command(*TINY, "data.splits.validation=0", "stages=[fit]", cwd=tmp_path, LUTHIER_TRIAL=told)
    assert ended.returncode == 2
    assert "nothing is validated" in ended.stderr


SEARCH = """\
# @package _global_
# LoRA of which rank?   luthier -m recipe=searched hydra/sweeper=optuna
defaults:
  - demo
  - _self_

hydra:
  sweeper:
    n_trials: 3
    params: {adaptation: "choice(lora, full)"}
    conditional: {adaptation: {lora: {adaptation.rank: "choice(4, 8)"}}}
"""


def test_a_recipe_with_a_search_composes_as_a_run_and_a_listing_refuses_it(luthier, write):  # noqa: F811
    write("recipes/recipe/searched.yaml", SEARCH)
    assert luthier("recipe=searched", "--cfg", "job").code == 0
    ended = luthier("-m", "recipe=searched", "seed=1,2")
    assert ended.code == 2
    assert "is a setting of a search. Say hydra/sweeper=optuna." in ended.err
