"""Feature distillation against transformers' own hidden states and attention maps."""

from __future__ import annotations

import pytest
import torch

from luthier.contracts.examples import Example
from luthier.data.collate import collate
from luthier.errors import RecipeError
from luthier.models.random import Random
from luthier_distillation import signals
from luthier_distillation.distill import Distillation
from luthier_distillation.feature_distillation import AttentionMaps, FeatureSignal, HiddenStates
from tests.plugins.distillation.tiny_networks import SIZE, distillation, unconfigured


def whole(network: torch.nn.Module, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The last layer's by transformers itself: hidden states before the norm [n, H], attention maps [heads, n, n]."""
    network.set_attn_implementation("eager")  # type: ignore[operator]
    caught: list[torch.Tensor] = []
    handle = network.model.layers[-1].register_forward_hook(lambda *arguments: caught.append(arguments[2]))  # type: ignore[union-attr]
    out = network(input_ids=ids, output_attentions=True)
    handle.remove()
    hidden = caught[0] if isinstance(caught[0], torch.Tensor) else caught[0][0]
    return hidden[0], out.attentions[-1][0]


def by_hand(method: Distillation, teacher: Random, rows: list, signal: FeatureSignal) -> torch.Tensor:
    total, projection = torch.zeros(()), method.feature_losses[0].projections[0]
    for row in rows:
        ids = torch.from_numpy(row.sequences[0].ids).long()[None]
        weights = torch.from_numpy(row.sequences[0].weights)[1:]
        (hidden, maps), (their_hidden, their_maps) = (
            whole(network, ids) for network in (method.network, teacher.network().eval())
        )
        if isinstance(signal, HiddenStates):
            each = (projection(hidden) - their_hidden.detach()).pow(2).mean(-1)
        else:
            each = (maps - their_maps.detach()).pow(2).sum(-1).mean(0)
        total = total + (each[:-1] * weights).sum()
    return total


@pytest.mark.parametrize("signal", [HiddenStates(layers=[[-1, -1]]), AttentionMaps(layers=[[1, 3]])])
def test_packed_it_is_the_distance_of_what_transformers_gives_for_each_text(
    signal: FeatureSignal, teacher: Random, examples: list[Example]
) -> None:
    student = Random(config={**SIZE, "num_hidden_layers": 2, "hidden_size": 16, "head_dim": 8}, vocabulary=400)
    method = distillation(student, teacher, signal=signal)
    rows = [method.encode(example, student.tokenizer) for example in examples]
    loss = method.loss(collate([rows[:3], rows[3:]]))
    loss.sum.backward()
    names = ("model.layers.0.mlp.down_proj.weight", "model.layers.1.self_attn.k_proj.weight")
    gradients = [method.network.get_parameter(name).grad.clone() for name in names]
    method.network.zero_grad()
    expected = by_hand(method, teacher, rows, signal)
    expected.backward()
    assert loss.sum.item() == pytest.approx(expected.item(), rel=1e-4)
    for name, gradient in zip(names, gradients, strict=True):
        assert torch.allclose(gradient, method.network.get_parameter(name).grad, rtol=1e-3, atol=1e-5), name
    learned = list(method.feature_losses.parameters())
    assert [weight.shape for weight in learned] == ([(32, 16)] if isinstance(signal, HiddenStates) else [])
    assert all(weight.grad is not None for weight in learned)


@pytest.mark.parametrize("signal", [HiddenStates(distance="cosine"), AttentionMaps(distance="cosine")])
def test_a_student_that_is_its_teacher_has_no_distance(
    signal: FeatureSignal, teacher: Random, examples: list[Example]
) -> None:
    mixture = signals.Weighted(signals={"soft": signals.ForwardKl(), "features": signal}, weights={"features": 2.0})
    method = distillation(teacher, teacher, signal=mixture)
    batch = collate([[method.encode(example, teacher.tokenizer) for example in examples]])
    assert abs(method.loss(batch).sum.item()) < 2e-3
    method.network.model.layers[1].mlp.down_proj.weight.data.zero_()
    assert method.loss(batch).metrics["feature_loss"][0].item() > 0.01


def test_layers_are_paired_at_even_distances_and_maps_mix_heads(teacher: Random) -> None:
    assert HiddenStates().layer_pairs(2, 4) == [(0, 1), (1, 3)]
    assert HiddenStates().layer_pairs(10, 30)[:2] == [(0, 2), (1, 5)]
    assert HiddenStates(layers=[[-1, -2]]).layer_pairs(2, 4) == [(1, 2)]
    narrow = Random(config={**SIZE, "num_attention_heads": 2, "num_key_value_heads": 1}, vocabulary=400)
    method = distillation(narrow, teacher, signal=AttentionMaps(layers=[[0, 0]]))
    assert method.feature_losses[0].projections[0].weight.shape == (4, 2)


def test_what_cannot_be_compared_is_refused(student: Random, teacher: Random, examples: list[Example]) -> None:
    with pytest.raises(RecipeError, match="no pair"):
        distillation(student, teacher, signal=HiddenStates(layers=[[0, 9]]))
    narrow = Random(config={**SIZE, "hidden_size": 16, "head_dim": 8}, vocabulary=400)
    with pytest.raises(RecipeError, match="projection is never"):
        distillation(narrow, teacher, signal=HiddenStates(projection="never"))
    with pytest.raises(RecipeError, match="no hidden states or attention maps"):
        unconfigured(student, teacher, signal=HiddenStates(), offline_teacher="somewhere")
    sdpa = Random(config=SIZE, vocabulary=400, attn_implementation="sdpa")
    with_sdpa = distillation(sdpa, teacher, signal=AttentionMaps())
    with pytest.raises(RecipeError, match="cannot be recorded"):
        with_sdpa.loss(collate([[with_sdpa.encode(examples[0], teacher.tokenizer)]]))


def test_checkpoints_of_version_0_1_have_other_names_for_learned_projections(teacher: Random) -> None:
    narrow = Random(config={**SIZE, "hidden_size": 16, "head_dim": 8}, vocabulary=400)
    method = distillation(narrow, teacher, signal=HiddenStates())
    state = method.state_dict()
    old = {
        name.replace("feature_losses.", "insights.").replace(".projections.", ".between."): weight
        for name, weight in state.items()
    }
    assert {"insights.0.between.0.weight", "insights.0.between.3.weight"} <= set(old)
    method.on_load_checkpoint({"state_dict": old})
    assert set(old) == set(state)
