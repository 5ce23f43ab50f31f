"""Adapters of several runs merged into one, and several of them on one base."""

from __future__ import annotations

import pytest
import torch
from peft import PeftModel

import luthier
from luthier.errors import RecipeError
from luthier.testing.adaptation import TRAINING, train
from luthier_ensemble.adapters import MergedAdapters

WEIGHT = "model.layers.0.self_attn.q_proj.weight"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, str]:
    """Two runs of one recipe on one base, of other seeds, and one of another rank."""
    folder = tmp_path_factory.mktemp("runs")
    words = ("adaptation=lora", *TRAINING, "trainer.max_steps=2")
    train(folder / "one", *words)
    train(folder / "other", *words, "seed=1")
    train(folder / "wide", *words, "adaptation.rank=4")
    return {name: str(folder / name) for name in ("one", "other", "wide")}


def both(runs: dict[str, str]) -> dict[str, str]:
    return {name: runs[name] for name in ("one", "other")}


def plain(path: str) -> torch.Tensor:
    """A weight of the base."""
    network = luthier.load(path).network.get_base_model()
    return network.get_parameter(WEIGHT.replace("q_proj.", "q_proj.base_layer.")).detach()


def update(path: str) -> torch.Tensor:
    """The update of the weight by a run."""
    return luthier.load(path).merged().state_dict()[WEIGHT] - plain(path)


def added(runs: dict[str, str], **how) -> torch.Tensor:
    return MergedAdapters(runs=runs, **how).network().state_dict()[WEIGHT] - plain(runs["one"])


def test_concatenation_and_svd_at_full_rank_are_the_weighted_sum_of_updates(runs):
    wanted = 2 * update(runs["one"]) + update(runs["wide"])
    unequal = {name: runs[name] for name in ("one", "wide")}
    for how in ({"combination": "cat"}, {"combination": "svd", "rank": 16 + 4}):
        found = added(unequal, weights={"one": 2.0}, **how)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("combination", ["linear", "ties", "dare_linear", "dare_ties_svd", "magnitude_prune"])
def test_every_combination_is_that_of_plain_peft(runs, combination):
    loaded = luthier.load(runs["one"])
    loaded.add(runs["other"], "other")
    assert isinstance(loaded.network, PeftModel)
    settings = {} if combination == "linear" else {"density": 0.3}
    torch.manual_seed(3)
    loaded.network.add_weighted_adapter(
        ["default", "other"], [1.0, 0.5], "sum", combination_type=combination, **settings
    )
    loaded.use("sum")
    wanted = loaded.merged().state_dict()
    merged = MergedAdapters(runs=both(runs), combination=combination, weights={"other": 0.5}, density=0.3, seed=3)
    found = merged.network().state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in found)


def test_another_combination_or_weight_is_another_model(runs):
    shas = {
        MergedAdapters(runs=both(runs), **how).lineage()["sha256"]
        for how in ({}, {"combination": "cat"}, {"weights": {"one": 0.5}}, {"weights": {"one": 0.5}})
    }
    assert len(shas) == 3


def test_adapters_that_do_not_merge_are_refused(runs, tmp_path):
    with pytest.raises(RecipeError, match="does not merge these adapters as linear"):
        MergedAdapters(runs={name: runs[name] for name in ("one", "wide")}).network()
    whole = train(tmp_path / "whole", "trainer.max_steps=1", "stages=[fit]")
    with pytest.raises(RecipeError, match="left no adapter"):
        MergedAdapters(runs={"whole": str(whole.folder)}).network()
    with pytest.raises(RecipeError, match="no run 'tow'"):
        MergedAdapters(runs=both(runs), weights={"tow": 1.0})
