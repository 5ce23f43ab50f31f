"""Sweeps by Optuna's ask and tell, through Hydra's own command line."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from luthier.errors import RecipeError
from luthier.records.lock import RunLock
from luthier.workflows.sweeps.optuna_sweeper import OptunaSweeper
from luthier.workflows.sweeps.search_space import distribution

APP = Path(__file__).with_name("sweep_app.py")


def sweep(folder, *words, ok=True):
    done = subprocess.run(
        [sys.executable, str(APP), "-m", "hydra/sweeper=optuna", *words], cwd=folder, capture_output=True, text=True
    )
    assert not ok or done.returncode == 0, done.stderr
    jobs = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("job ")]
    file = folder / "sweep" / "optimization_results.yaml"
    return done, jobs, yaml.safe_load(file.read_text()) if file.exists() else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x=interval(-5,5)", FloatDistribution(-5, 5)),
        ("x=int(interval(1,5))", IntDistribution(1, 5)),
        ("x=tag(log,interval(1e-5,1e-3))", FloatDistribution(1e-5, 1e-3, log=True)),
        ("x=tag(log,int(interval(1,100)))", IntDistribution(1, 100, log=True)),
        ("x=range(0,6)", IntDistribution(0, 5)),
        ("x=range(0,7,3)", IntDistribution(0, 6, step=3)),
        ("x=range(0,1,0.25)", FloatDistribution(0, 0.75, step=0.25)),
        ("x=choice(a,b,3)", CategoricalDistribution(["a", "b", "3"])),
        ("x=a,'b c'", CategoricalDistribution(["a", "'b c'"])),
        ("+x=[1,2],[3]", CategoricalDistribution(["[1,2]", "[3]"])),
        ("x=shuffle(range(1,4))", CategoricalDistribution(["1", "2", "3"])),
    ],
)
def test_hydras_syntax_becomes_a_distribution(text, expected):
    found = distribution(OverridesParser.create().parse_override(text))
    if text.startswith("x=shuffle"):
        assert set(found.choices) == set(expected.choices)
    else:
        assert found == expected


@pytest.mark.parametrize(
    "text", ["x=tag(log,interval(0,1))", "x=tag(lgo,interval(1,2))", "x=interval(5,1)", "x=range(0,0)"]
)
def test_a_space_that_makes_no_sense_is_refused(text):
    with pytest.raises(RecipeError):
        distribution(OverridesParser.create().parse_override(text))


def test_a_sweep_finds_a_low_score_and_writes_what_it_found(tmp_path):
    _, jobs, results = sweep(tmp_path, "hydra.sweeper.n_trials=15", "x=interval(-5,5)", "y=range(0,3)", "kind=c")
    assert len(jobs) == 15
    assert {kind for *_, kind in jobs} == {"c"}
    assert {int(y) for _, _, y, _ in jobs} <= {0, 1, 2}
    assert results["complete"] == 15
    best = min((float(x) - 2) ** 2 + int(y) for _, x, y, _ in jobs)
    assert results["best_value"] == pytest.approx(best)
    assert results["best_params"].keys() == {"x", "y"}


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_seed_decides_what_is_tried(tmp_path, sampler):
    tried = []
    for seed in (1, 1, 2):
        folder = tmp_path / str(len(tried))
        folder.mkdir()
        tried.append(
            sweep(
                folder,
                f"hydra.sweeper.sampler={sampler}",
                f"hydra.sweeper.seed={seed}",
                "hydra.sweeper.n_trials=3",
                "x=interval(0,1)",
            )[1]
        )
    assert tried[0] == tried[1] != tried[2]


def test_cmaes_comes_nearer_from_generation_to_generation(tmp_path):
    _, jobs, results = sweep(
        tmp_path, "hydra.sweeper.sampler=cmaes", "hydra.sweeper.n_trials=30", "x=interval(-5.0,5.0)", "y=range(1,9)"
    )
    losses = [(float(x) - 2) ** 2 + int(y) for _, x, y, _ in jobs]
    assert sum(losses[-6:]) < sum(losses[:6]) / 2
    assert results["best_value"] == pytest.approx(min(losses))


def test_cmaes_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(RecipeError, match="needs the package cmaes") as refused:
        OptunaSweeper(sampler="cmaes").sweep([])
    assert "pip install 'luthier[sweep]'" in refused.value.hint


def test_maximize_looks_the_other_way(tmp_path):
    results = sweep(tmp_path, "hydra.sweeper.direction=maximize", "hydra.sweeper.n_trials=4", "x=choice(2,7)")[2]
    assert results["best_params"] == {"x": "7"}
    assert results["best_value"] == 26


def test_a_job_that_fails_is_a_failed_trial_and_not_the_end(tmp_path):
    done, jobs, results = sweep(
        tmp_path, "hydra.sweeper.n_trials=12", "kind=choice(a,broken,endless)", "hydra.sweeper.sampler=random"
    )
    assert len(jobs) == 12
    assert results["complete"] + results["failed"] == 12
    assert results["failed"] == sum(kind != "a" for *_, kind in jobs) > 0
    assert results["best_params"] == {"kind": "a"}
    assert "The loss is nan in step 3." in done.stdout + done.stderr


def test_when_every_job_fails_the_sweep_fails(tmp_path):
    done, jobs, results = sweep(tmp_path, "hydra.sweeper.n_trials=2", "kind=broken", "x=interval(0,1)", ok=False)
    assert done.returncode != 0
    assert len(jobs) == 2
    assert "All 2 jobs of the sweep failed" in done.stderr
    assert results == {"name": "optuna", "complete": 0, "failed": 2}


def test_a_killed_sweep_goes_on_and_tries_again_what_was_under_way(tmp_path):
    words = ("hydra.sweeper.n_trials=6", "x=interval(-5,5)")
    killed, before, _ = sweep(tmp_path, *words, "kill_at=3", ok=False)
    assert killed.returncode == -9
    assert len(before) == 4
    _, after, results = sweep(tmp_path, *words)
    assert [number for number, *_ in after] == ["4", "5", "6"]
    assert after[0][1] == before[3][1], "the trial that was under way comes first"
    assert results["complete"] == 6
    assert results["failed"] == 0
    assert len({x for _, x, *_ in before[:3] + after}) == 6, "nothing is drawn twice"
    _, nothing, again = sweep(tmp_path, *words)
    assert nothing == []
    assert again == results


def test_a_search_space_can_stand_in_the_recipe_and_the_command_line_wins(tmp_path):
    _, jobs, results = sweep(
        tmp_path, "hydra.sweeper.n_trials=3", "++hydra.sweeper.params={x: 'choice(1,2)', y: 'choice(3)'}", "x=choice(9)"
    )
    assert {(float(x), y) for _, x, y, _ in jobs} == {(9.0, "3")}
    assert results["best_params"] == {"x": "9", "y": "3"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["x=1"], "searches nothing"),
        (["x=interval(0,1)", "hydra.sweeper.sampler=genetic"], "no sampler 'genetic'"),
        (["x=interval(0,1)", "hydra.sweeper.direction=up"], "direction is 'up'"),
    ],
)
def test_what_cannot_be_swept_is_said_before_any_job(tmp_path, words, said):
    done, jobs, _ = sweep(tmp_path, *words, ok=False)
    assert done.returncode != 0
    assert jobs == []
    assert re.search(said, done.stderr)


def test_a_sweep_keeps_its_direction(tmp_path):
    sweep(tmp_path, "hydra.sweeper.n_trials=1", "x=interval(0,1)")
    done, jobs, _ = sweep(tmp_path, "hydra.sweeper.direction=maximize", "x=interval(0,1)", ok=False)
    assert jobs == []
    assert "started with direction=minimize" in done.stderr


def test_a_setting_is_searched_only_where_its_condition_holds(tmp_path):
    _, jobs, results = sweep(
        tmp_path, "hydra.sweeper.sampler=random", "hydra.sweeper.n_trials=12", "kind=choice(a,b)",
        "++hydra.sweeper.conditional={kind: {a: {y: 'choice(3,4)'}}}",
    )  # fmt: skip
    assert {(kind, y) for _, _, y, kind in jobs} == {("a", "3"), ("a", "4"), ("b", "1")}
    assert results["best_params"] == {"kind": "b"}


@pytest.mark.parametrize(
    ("conditional", "said"),
    [
        ("{kind: {c: {y: 'choice(3,4)'}}}", "kind=c never holds: kind is one of a, b"),
        ("{colour: {red: {y: 'choice(3,4)'}}}", "colour is neither searched nor set"),
        ("{kind: {a: {y: 3}}}", "y has one value only"),
    ],
)
def test_a_condition_that_never_holds_is_refused_before_any_job(tmp_path, conditional, said):
    done, jobs, _ = sweep(tmp_path, "kind=choice(a,b)", f"++hydra.sweeper.conditional={conditional}", ok=False)
    assert done.returncode != 0
    assert jobs == []
    assert said in done.stderr


def test_a_grid_is_every_combination_once_and_goes_on_after_a_kill(tmp_path):
    words = (
        "hydra.sweeper.sampler=grid", "hydra.sweeper.n_trials=99", "kind=choice(a,b)", "x=range(0,1,0.5)",
        "++hydra.sweeper.conditional={kind: {a: {y: 'choice(3,4)'}}}",
    )  # fmt: skip
    killed, before, _ = sweep(tmp_path, *words, "kill_at=2", ok=False)
    assert killed.returncode == -9
    _, after, results = sweep(tmp_path, *words)
    tried = sorted((float(x), y, kind) for _, x, y, kind in [*before[:-1], *after])
    assert tried == sorted([(x, y, "a") for x in (0.0, 0.5) for y in "34"] + [(x, "1", "b") for x in (0.0, 0.5)])
    assert (results["complete"], results["failed"]) == (6, 0)


def test_a_grid_of_a_continuous_setting_is_refused(tmp_path):
    done, jobs, _ = sweep(tmp_path, "hydra.sweeper.sampler=grid", "x=interval(0.0,1.0)", ok=False)
    assert done.returncode != 0
    assert jobs == []
    assert "x has no listed values" in done.stderr


@pytest.mark.parametrize("sampler", ["nsgaii", "nsgaiii", "tpe"])
def test_several_objectives_have_a_front(tmp_path, sampler):
    _, jobs, results = sweep(
        tmp_path, f"hydra.sweeper.sampler={sampler}", "hydra.sweeper.n_trials=10", "x=interval(0.0,1.0)", "write=true",
        "hydra.sweeper.objectives={loss: minimize, accuracy: maximize}",
    )  # fmt: skip
    assert len(results["front"]) == len(jobs) == 10, "each is better in one of the two"
    assert all(one["values"][1] == pytest.approx(one["values"][0] ** 2) for one in results["front"])


def test_what_violates_a_constraint_is_not_the_best(tmp_path):
    _, jobs, results = sweep(
        tmp_path, "hydra.sweeper.n_trials=12", "x=interval(0.0,1.0)", "write=true", "hydra.sweeper.direction=maximize",
        "hydra.sweeper.objectives={loss: maximize}", "hydra.sweeper.constraints={accuracy: 0.25}",
    )  # fmt: skip
    assert max(float(x) for _, x, *_ in jobs) > 0.5
    assert results["best_value"] == max(float(x) for _, x, *_ in jobs if float(x) <= 0.5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hydra.sweeper.pruner=hyperband", "hydra.sweeper.objectives={a: minimize, b: minimize}"], "one objective"),
        (["hydra.sweeper.sampler=cmaes", "hydra.sweeper.objectives={a: minimize, b: minimize}"], "one objective"),
        (["hydra.sweeper.sampler=random", "hydra.sweeper.constraints={a: 1}"], "knows no constraints"),
        (["hydra.sweeper.pruner=medan"], "Did you mean median"),
        (["hydra.sweeper.objectives={a: up}"], "direction is 'up'"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, words, said):
    done, jobs, _ = sweep(tmp_path, "x=interval(0,1)", *words, ok=False)
    assert jobs == []
    assert said in done.stderr


def test_an_objective_that_was_not_measured_is_a_failed_trial(tmp_path):
    done, jobs, _ = sweep(
        tmp_path, "x=interval(0.0,1.0)", "write=true", "hydra.sweeper.n_trials=2",
        "hydra.sweeper.objectives={acuracy: maximize}", ok=False,
    )  # fmt: skip
    assert len(jobs) == 2
    assert "no 'acuracy'" in done.stdout + done.stderr
    assert "Did you mean accuracy" in done.stdout + done.stderr


def test_another_space_and_a_folder_in_use_are_refused(tmp_path):
    sweep(tmp_path, "hydra.sweeper.n_trials=1", "x=interval(0,1)")
    done, jobs, _ = sweep(tmp_path, "x=interval(0,2)", ok=False)
    assert jobs == []
    assert "started with another space: x" in done.stderr
    with RunLock(tmp_path / "sweep" / "lock"):
        done, jobs, _ = sweep(tmp_path, "hydra.sweeper.n_trials=3", "x=interval(0,1)", ok=False)
    assert jobs == []
    assert "in use by process" in done.stderr


@pytest.mark.parametrize("sampler", ["gp", "sobol"])
def test_samplers_that_need_scipy_search_or_say_so(tmp_path, sampler):
    done, jobs, results = sweep(
        tmp_path, f"hydra.sweeper.sampler={sampler}", "hydra.sweeper.n_trials=4", "x=interval(-5.0,5.0)", ok=False
    )
    if find_spec("scipy") is None:
        assert "pip install 'luthier[sweep]'" in done.stderr
        assert jobs == []
    else:
        assert len({x for _, x, *_ in jobs}) == results["complete"] == 4


def test_a_pruned_job_is_no_failed_one_and_keeps_no_checkpoint(tmp_path):
    _, jobs, results = sweep(
        tmp_path, "hydra.sweeper.sampler=grid", "hydra.sweeper.n_trials=9", "kind=choice(a,pruned,broken)"
    )
    assert len(jobs) == 3
    assert (results["complete"], results["pruned"], results["failed"]) == (1, 1, 1)
    (mark,) = (tmp_path / "sweep").glob("*/pruned.json")
    assert not (mark.parent / "checkpoints").exists()
