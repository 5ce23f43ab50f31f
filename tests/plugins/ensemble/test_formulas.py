"""Each merging method: values computed by hand, and those of mergekit."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from luthier.errors import RecipeError
from luthier_ensemble.layers import depths, in_layer, layer_of, number_at
from luthier_ensemble.merging.breadcrumbs import Breadcrumbs, BreadcrumbsTies, middle
from luthier_ensemble.merging.dare import Dare, DareTies
from luthier_ensemble.merging.della import Della, keep_probabilities
from luthier_ensemble.merging.deltas import TaskArithmetic, random_generator, sum_of_elected_sign
from luthier_ensemble.merging.linear import Linear
from luthier_ensemble.merging.model_stock import ModelStock
from luthier_ensemble.merging.multislerp import MultiSlerp
from luthier_ensemble.merging.passthrough import Passthrough
from luthier_ensemble.merging.slerp import Slerp
from luthier_ensemble.merging.ties import Ties, largest

REFERENCE = json.loads((Path(__file__).parent / "mergekit_reference.json").read_text())["tensors"]
THEIRS = {name: torch.tensor(values) for name, values in REFERENCE.items()}
WEIGHTS = {"a": 0.7, "b": 0.4, "c": -0.2}
ARITHMETIC = {"weights": WEIGHTS, "scale": 0.9}


def merged(merging, tensors, base=None, depth=0.0, name="w"):
    given = {key: torch.as_tensor(each, dtype=torch.float32).clone() for key, each in tensors.items()}
    return merging(name, given, None if base is None else torch.as_tensor(base, dtype=torch.float32), depth)


def equal(found, expected):
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=torch.float32), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "merging", "models", "based"),
    [
        ("linear", Linear(weights=WEIGHTS), "abc", False),
        ("slerp", Slerp(t=0.3), "a", True),
        ("multislerp", MultiSlerp(weights=WEIGHTS), "abc", True),
        ("multislerp_without_base", MultiSlerp(weights=WEIGHTS), "abc", False),
        ("task_arithmetic", TaskArithmetic(**ARITHMETIC), "abc", True),
        ("ties", Ties(**ARITHMETIC, density=0.5), "abc", True),
        ("breadcrumbs", Breadcrumbs(**ARITHMETIC, density=0.5, gamma=0.1), "abc", True),
        ("breadcrumbs_ties", BreadcrumbsTies(**ARITHMETIC, density=0.5, gamma=0.1), "abc", True),
        ("model_stock", ModelStock(), "abc", True),
        ("model_stock_by_rows", ModelStock(filter_wise=True), "abc", True),
    ],
)
def test_merged_tensors_are_those_of_mergekit(name, merging, models, based):
    equal(merged(merging, {each: THEIRS[each] for each in models}, THEIRS["base"] if based else None), THEIRS[name])


@pytest.mark.parametrize("name", ["dare_of_one", "della_of_one"])
def test_the_values_dropped_at_random_are_those_that_mergekit_drops(name, monkeypatch):
    """Unscaled: mergekit rescales to the sum of magnitudes, we divide by the probability as the papers do."""
    merging = Dare(density=0.5, rescale=False) if name.startswith("dare") else Della(rescale=False, epsilon=0.2)
    for module in ("dare", "della"):
        seeded = lambda seed, model, name: torch.Generator().manual_seed(11)  # noqa: E731
        monkeypatch.setattr(f"luthier_ensemble.merging.{module}.random_generator", seeded)
    equal(merging.sparsified(THEIRS["a"] - THEIRS["base"], "a", "w", 0.0), THEIRS[name])


def test_linear_is_a_weighted_mean_or_sum():
    tensors = {"a": [1.0, 2.0], "b": [3.0, -2.0]}
    equal(merged(Linear(), tensors), [2, 0])
    equal(merged(Linear(weights={"a": 3.0}), tensors), [1.5, 1])
    equal(merged(Linear(weights={"a": 0.5, "b": 2.0}, normalize=False), tensors), [6.5, -3])
    with pytest.raises(RecipeError, match="add up to 0"):
        merged(Linear(weights={"a": -1.0}), tensors)


def test_slerp_goes_along_the_arc_and_straight_between_parallels():
    equal(merged(Slerp(t=0.5), {"b": [0.0, 2.0]}, [2.0, 0.0]), [math.sqrt(2), math.sqrt(2)])
    equal(merged(Slerp(t=1 / 3), {"b": [0.0, 1.0]}, [1.0, 0.0]), [math.cos(math.pi / 6), math.sin(math.pi / 6)])
    equal(merged(Slerp(t=0.25), {"b": [4.0, 0.0]}, [2.0, 0.0]), [2.5, 0])
    equal(merged(Slerp(t=0.25), {"b": [4.0, 0.0]}, [0.0, 0.0]), [math.sin(math.pi / 8) * 4, 0])


def test_multislerp_is_the_mean_direction_times_the_mean_length():
    equal(merged(MultiSlerp(), {"a": [3.0, 0.0], "b": [0.0, 1.0]}), [math.sqrt(2), math.sqrt(2)])
    equal(merged(MultiSlerp(), {"a": [1.0, 1.0], "b": [1.0, 1.0]}, [1.0, 1.0]), [1, 1])
    with pytest.raises(RecipeError, match="cancel out"):
        merged(MultiSlerp(), {"a": [1.0, 0.0], "b": [-1.0, 0.0], "c": [0.0, 0.0]})


def test_task_arithmetic_adds_what_was_learned_and_takes_away():
    tensors = {"a": [3.0, 1.0], "b": [1.0, 5.0]}
    equal(merged(TaskArithmetic(), tensors, [1.0, 1.0]), [3, 5])
    equal(merged(TaskArithmetic(weights={"b": -0.5}, scale=2.0), tensors, [1.0, 1.0]), [5, -3])
    equal(merged(TaskArithmetic(normalize=True), tensors, [1.0, 1.0]), [2, 3])


def test_ties_trims_elects_and_merges():
    """The worked figures: base 0, half of each kept, signs by the sum, means over those that agree."""
    tensors = {"a": [4.0, -1.0, 0.5, 3.0], "b": [-1.0, -2.0, 6.0, 0.1]}
    # kept: a = [4, 0, 0, 3], b = [0, -2, 6, 0]
    equal(merged(Ties(), tensors, [0.0] * 4), [4, -2, 6, 3])
    tensors["b"] = [-9.0, -2.0, 1.0, 4.0]  # kept: [-9, 0, 0, 4]; the sign of the first is that of 4 - 9
    equal(merged(Ties(), tensors, [0.0] * 4), [-9, 0, 0, 3.5])
    equal(merged(Ties(normalize=False, scale=0.5), tensors, [0.0] * 4), [-4.5, 0, 0, 3.5])


def test_trimming_keeps_the_largest_and_at_least_one():
    given = torch.tensor([[1.0, -4.0], [2.0, 3.0]])
    equal(largest(given, 0.5), [[0, -4], [0, 3]])
    equal(largest(given, 0.01), [[0, -4], [0, 0]])
    equal(largest(given, 0.0), [[0, 0], [0, 0]])
    equal(largest(torch.ones(4), 0.5), [1, 1, 0, 0])


def test_an_election_counts_weights():
    deltas = [torch.tensor([1.0, 1.0]), torch.tensor([-2.0, 1.0])]
    equal(sum_of_elected_sign(deltas, [3.0, 1.0], True), [1, 1])
    equal(sum_of_elected_sign(deltas, [1.0, 1.0], False), [-2, 2])


def test_dare_keeps_its_share_enlarged_and_the_same_each_time():
    delta = torch.ones(200, 200)
    sparsified = Dare(density=0.25).sparsified(delta, "a", "w", 0.0)
    assert set(sparsified.unique().tolist()) == {0.0, 4.0}
    assert (sparsified > 0).float().mean() == pytest.approx(0.25, abs=0.01)
    assert torch.equal(sparsified, Dare(density=0.25).sparsified(delta, "a", "w", 0.0))
    for model, name, seed in (("b", "w", 0), ("a", "v", 0), ("a", "w", 1)):
        assert not torch.equal(sparsified, Dare(density=0.25, seed=seed).sparsified(delta, model, name, 0.0))
    equal(merged(DareTies(density=1.0, normalize=True), {"a": [2.0, 1.0], "b": [-1.0, 3.0]}, [0.0, 0.0]), [2, 2])


def test_della_keeps_the_larger_with_the_higher_probability():
    equal(
        keep_probabilities(torch.tensor([[3.0, -1.0, 2.0], [0.0, 0.1, -9.0]]), 0.5, 0.2),
        [[0.7, 0.3, 0.5], [0.3, 0.5, 0.7]],
    )
    rows = torch.arange(1.0, 401.0).repeat(100, 1)
    sparsified = Della(density=0.5, epsilon=0.4).sparsified(rows, "a", "w", 0.0)
    kept = (sparsified != 0).float().mean(0)
    assert kept[:40].mean() == pytest.approx(0.14, abs=0.05)
    assert kept[-40:].mean() == pytest.approx(0.86, abs=0.05)
    assert float(sparsified.mean()) == pytest.approx(float(rows.mean()), rel=0.05), (
        "the rescaled differences keep the mean"
    )
    with pytest.raises(RecipeError, match="outside 0 to 1"):
        Della(density=0.1, epsilon=0.2).check(["a", "base"], "base")


def test_breadcrumbs_are_the_middle():
    given = torch.tensor([5.0, -1.0, 2.0, -4.0, 3.0])
    equal(middle(given, 0.4, 0.2), [0, 0, 0, -4, 3])
    equal(middle(given, 0.4, 0.4), [0, 0, 2, 0, 3])
    equal(middle(given, 0.8, 0.6), [0, -1, 2, -4, 3])


def test_model_stock_goes_as_far_as_the_models_agree():
    right = {"a": [1.0, 0.0], "b": [0.0, 1.0]}  # cos 0: stay with the base
    equal(merged(ModelStock(), right, [0.0, 0.0]), [0, 0])
    agree = {"a": [2.0, 0.0], "b": [1.0, 1.0]}  # cos √½, t = 2 cos / (1 + cos)
    t = 2 * math.sqrt(0.5) / (1 + math.sqrt(0.5))
    equal(merged(ModelStock(), agree, [0.0, 0.0]), [1.5 * t, 0.5 * t])
    equal(merged(ModelStock(), {"a": [3.0, 0.0], "b": [1.0, 0.0]}, [2.0, 0.0]), [2, 0])


def test_weights_and_densities_may_change_from_layer_to_layer():
    names = ["model.embed_tokens.weight", "model.layers.0.x", "model.layers.2.x", "model.norm.weight"]
    assert depths(names, 5) == {names[0]: 0.0, names[1]: 0.0, names[2]: 0.5, names[3]: 1.0}
    assert [number_at({"a": [0.0, 1.0, 3.0]}, "a", depth, 9.0) for depth in (0, 0.25, 0.5, 1)] == [0, 0.5, 1, 3]
    assert number_at({"a": 2}, "b", 0.3, 9.0) == 9
    equal(merged(Linear(weights={"a": [1.0, 0.0]}), {"a": [2.0], "b": [4.0]}, depth=1.0), [4])
    assert (Ties(densities={"a": [0.0, 1.0]}).sparsified(torch.ones(8), "a", "w", 0.5) != 0).sum() == 4
    assert (layer_of("h.11.mlp.3.w"), layer_of("norm.weight")) == (11, None)
    assert in_layer("model.layers.3.experts.0.w", 12) == "model.layers.12.experts.0.w"


@pytest.mark.parametrize(
    ("merging", "message"),
    [
        (Linear(weights={"d": 1.0}), "There is no model 'd'"),
        (Ties(densities={"base": 0.5}), "There is no model 'base'"),
        (Ties(density=1.5), "A density is 1.5"),
        (Dare(densities={"a": [0.5, -1.0]}), "A density is -1.0"),
        (Slerp(), "between two models, and there are 4"),
        (Passthrough(), "no layers to stack"),
        (Passthrough(slices=[{"model": "z", "layers": [0, 1]}]), "There is no model 'z'"),
        (Passthrough(slices=[{"model": "a", "layers": [2, 1]}]), "A slice is"),
    ],
)
def test_what_cannot_be_merged_is_refused_at_once(merging, message):
    with pytest.raises(RecipeError, match=message):
        merging.check(["base", "a", "b", "c"], "base")


def test_random_numbers_depend_on_model_weight_and_seed_alone():
    first, same, other = random_generator(0, "a", "w"), random_generator(0, "a", "w"), random_generator(0, "aw", "")
    drawn = [torch.rand(3, generator=each) for each in (first, same, other)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
