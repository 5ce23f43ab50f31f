"""Uses of an ensemble: its weights are searched, it generates, and it is distilled into a single network."""

from __future__ import annotations

import json

import pytest
import torch
import yaml

import luthier
from luthier.contracts.sampling import Sampling
from luthier.errors import RecipeError
from luthier.models.attention import forward_passes, layout_of
from luthier.testing.adaptation import adapt
from luthier.testing.twin import composer, twin
from luthier.training.language_model import shifted_targets
from luthier_ensemble.outputs import Ensemble
from tests.command import luthier as command

TEACHER = (
    "model@method.teacher=ensemble",
    "+model@method.teacher.members.one=tiny",
    "+model@method.teacher.members.other=tiny",
    "method.teacher.members.other.seed=1",
)

ROOM = {"max_position_embeddings": 512}


def test_weights_are_searched_and_the_ensemble_found_generates(tmp_path):
    """Through the command line, with Optuna; an ensemble generates as any artifact, and its export is refused."""
    space = {"weights": {"one": 1.0}}
    recipe = {
        "defaults": [
            {"/model@model.members.one": "tiny"},
            {"/model@model.members.other": "tiny"},
            {"override /model": "ensemble"},
        ],
        "model": {"members": {"other": {"seed": 1}}, "combining": space},
        "stages": ["evaluate"],
    }
    folder = tmp_path / "recipes" / "recipe"
    folder.mkdir(parents=True)
    (folder / "both.yaml").write_text("# @package _global_\n# Two.\n" + yaml.safe_dump(recipe))
    searched = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "model.combining.weights.one=interval(0.1,9.0)"]
    small = ["recipe=both", "batch.length=256", "evaluation.examples=4", "evaluation.general_examples=0", "name=search"]
    done = command("-m", *searched, *small, cwd=tmp_path, timeout=900)
    assert done.returncode == 0, done.stderr
    scores = [json.loads((tmp_path / f"sweeps/search/{number}/score.json").read_text()) for number in range(2)]
    assert scores[0] != scores[1]
    loaded = luthier.load(tmp_path / "sweeps" / "search" / "0")
    assert loaded.network.mix.combining.weights["one"] != 1.0
    (answer,) = loaded.answers([[{"role": "user", "content": "Which wood?"}]], Sampling(max_new_tokens=4))
    assert len(answer.ids) == 4
    with pytest.raises(RecipeError, match="An ensemble is several networks"):
        loaded.export(tmp_path / "out")


@pytest.mark.exhaustive
def test_merging_weights_are_searched_by_cmaes(kept, tmp_path):
    names = ("one", "other")
    recipe = {
        "defaults": [*({f"/model@model.models.{name}": "folder"} for name in names), {"override /model": "merge"}],
        "model": {
            "models": {name: {"path": str(kept(name, seed=seed, **ROOM).path)} for seed, name in enumerate(names)},
            "merging": {"weights": dict.fromkeys(names, 1.0)},
        },
        "batch": {"length": 256},
        "evaluation": {"examples": 4, "general_examples": 0, "samples": 0},
        "stages": ["evaluate"],
    }
    folder = tmp_path / "recipes" / "recipe"
    folder.mkdir(parents=True)
    (folder / "soup_of_two.yaml").write_text("# @package _global_\n# Two.\n" + yaml.safe_dump(recipe))
    searched = ["hydra/sweeper=optuna", "hydra.sweeper.sampler=cmaes", "hydra.sweeper.n_trials=3"]
    weights = [f"model.merging.weights.{name}=interval(0.0,1.0)" for name in names]
    done = command("-m", *searched, *weights, "recipe=soup_of_two", "name=search", cwd=tmp_path, timeout=900)
    assert done.returncode == 0, done.stderr
    sweep = tmp_path / "sweeps" / "search"
    assert '"cma:' in (sweep / "optuna.journal").read_text()
    scores = [json.loads((sweep / str(number) / "score.json").read_text())["score"] for number in range(3)]
    found = yaml.safe_load((sweep / "optimization_results.yaml").read_text())
    assert len(set(scores)) == 3, "other weights make another soup"
    assert found["best_value"] == pytest.approx(min(scores))
    assert found["best_params"].keys() == {f"model.merging.weights.{name}" for name in names}


def test_an_ensemble_is_distilled_into_a_single_network(tmp_path):
    run = twin(tmp_path / "run", "method=distill", *TEACHER, "stages=[fit]")
    batch, student = next(run.data.first_batches()), adapt(run)
    assert isinstance(run.method.teacher, Ensemble)
    log_probs = []
    for network in (run.method.teacher.network(), student):
        with torch.no_grad():
            logits = network.eval()(**forward_passes(batch, layout_of(network))[0].inputs).logits
        log_probs.append(torch.log_softmax(logits.float(), dim=-1).flatten(0, 1))
    _, weights = shifted_targets(batch)
    distance = (log_probs[0].exp() * (log_probs[0] - log_probs[1])).sum(-1)
    assert float(run.method.loss(batch).sum.detach()) == pytest.approx(float((distance * weights).sum()), rel=1e-3)
    run.carry_out()


@pytest.mark.parametrize(("recipe", "parts"), [("soup", "model.models"), ("ensemble", "model.members")])
def test_another_model_than_the_recipes_leaves_its_parts_out_and_says_so(recipe, parts):
    composition = composer().compose([f"recipe={recipe}", "model=tiny", "name=x"])
    assert composition.config.model["_target_"].endswith("Random")
    assert any(note.startswith(f"{parts}: the recipe says it to") for note in composition.dropped)
