"""Inner signals against transformers' own hidden states and attention maps."""

from __future__ import annotations

import pytest
import torch

from luthier.contracts.examples import Example
from luthier.data.collate import collate
from luthier.errors import RecipeError
from luthier.models.adaptation import FullFineTuning
from luthier.models.random import Random
from luthier_distillation import signals
from luthier_distillation.alignment import SameTokens
from luthier_distillation.distill import Distillation
from luthier_distillation.feature_distillation import AttentionMaps, HiddenStates, Inner
from luthier_distillation.sequences import FromData
from tests.plugins.distillation.tiny_networks import SIZE


def method(student: Random, teacher: Random, signal: signals.Signal, **more: object) -> Distillation:
    parts = {"sequences": FromData(), "alignment": SameTokens(), **more}
    made = Distillation(student, FullFineTuning(), None, signal=signal, teacher=teacher, **parts)  # type: ignore[arg-type]
    made.configure_model()
    made.network.eval()
    return made


def whole(network: torch.nn.Module, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What transformers itself says of the last layer: hidden states before the norm [n, H], maps [heads, n, n]."""
    network.set_attn_implementation("eager")  # type: ignore[operator]
    caught: list[torch.Tensor] = []
    handle = network.model.layers[-1].register_forward_hook(lambda *said: caught.append(said[2]))  # type: ignore[union-attr]
    out = network(input_ids=ids, output_attentions=True)
    handle.remove()
    hidden = caught[0] if isinstance(caught[0], torch.Tensor) else caught[0][0]
    return hidden[0], out.attentions[-1][0]


def by_hand(found: Distillation, teacher: Random, rows: list, inner: Inner) -> torch.Tensor:
    total, between = torch.zeros(()), found.insights[0].between[0]
    for row in rows:
        ids = torch.from_numpy(row.sequences[0].ids).long()[None]
        weights = torch.from_numpy(row.sequences[0].weights)[1:]
        (hidden, maps), (their_hidden, their_maps) = (
            whole(network, ids) for network in (found.network, teacher.network().eval())
        )
        if isinstance(inner, HiddenStates):
            each = (between(hidden) - their_hidden.detach()).pow(2).mean(-1)
        else:
            each = (maps - their_maps.detach()).pow(2).sum(-1).mean(0)
        total = total + (each[:-1] * weights).sum()
    return total


@pytest.mark.parametrize("inner", [HiddenStates(layers=[[-1, -1]]), AttentionMaps(layers=[[1, 3]])])
def test_packed_it_is_what_transformers_shows_of_each_text(
    inner: Inner, teacher: Random, examples: list[Example]
) -> None:
    student = Random(config={**SIZE, "num_hidden_layers": 2, "hidden_size": 16, "head_dim": 8}, vocabulary=400)
    found = method(student, teacher, inner)
    rows = [found.encode(example, student.tokenizer) for example in examples]
    loss = found.loss(collate([rows[:3], rows[3:]]))
    loss.sum.backward()
    names = ("model.layers.0.mlp.down_proj.weight", "model.layers.1.self_attn.k_proj.weight")
    gradients = [found.network.get_parameter(name).grad.clone() for name in names]
    found.network.zero_grad()
    expected = by_hand(found, teacher, rows, inner)
    expected.backward()
    assert loss.sum.item() == pytest.approx(expected.item(), rel=1e-4)
    for name, gradient in zip(names, gradients, strict=True):
        assert torch.allclose(gradient, found.network.get_parameter(name).grad, rtol=1e-3, atol=1e-5), name
    learned = list(found.insights.parameters())
    assert [weight.shape for weight in learned] == ([(32, 16)] if isinstance(inner, HiddenStates) else [])
    assert all(weight.grad is not None for weight in learned)


@pytest.mark.parametrize("inner", [HiddenStates(distance="cosine"), AttentionMaps(distance="cosine")])
def test_a_student_that_is_its_teacher_is_not_apart(inner: Inner, teacher: Random, examples: list[Example]) -> None:
    mixture = signals.Weighted(signals={"soft": signals.ForwardKl(), "inside": inner}, weights={"inside": 2.0})
    found = method(teacher, teacher, mixture)
    batch = collate([[found.encode(example, teacher.tokenizer) for example in examples]])
    assert abs(found.loss(batch).sum.item()) < 2e-3
    found.network.model.layers[1].mlp.down_proj.weight.data.zero_()
    assert found.loss(batch).metrics["inside"][0].item() > 0.01


def test_layers_are_paired_at_even_distances_and_maps_mix_heads(teacher: Random) -> None:
    assert HiddenStates().pairs(2, 4) == [(0, 1), (1, 3)]
    assert HiddenStates().pairs(10, 30)[:2] == [(0, 2), (1, 5)]
    assert HiddenStates(layers=[[-1, -2]]).pairs(2, 4) == [(1, 2)]
    narrow = Random(config={**SIZE, "num_attention_heads": 2, "num_key_value_heads": 1}, vocabulary=400)
    found = method(narrow, teacher, AttentionMaps(layers=[[0, 0]]))
    assert found.insights[0].between[0].weight.shape == (4, 2)


def test_what_cannot_be_compared_is_refused(student: Random, teacher: Random, examples: list[Example]) -> None:
    with pytest.raises(RecipeError, match="no pair"):
        method(student, teacher, HiddenStates(layers=[[0, 9]]))
    narrow = Random(config={**SIZE, "hidden_size": 16, "head_dim": 8}, vocabulary=400)
    with pytest.raises(RecipeError, match="no projection is wanted"):
        method(narrow, teacher, HiddenStates(projection="never"))
    with pytest.raises(RecipeError, match="does not tell what goes on inside"):
        method(student, teacher, HiddenStates(), kept="somewhere")
    with_sdpa = method(Random(config=SIZE, vocabulary=400, attn_implementation="sdpa"), teacher, AttentionMaps())
    with pytest.raises(RecipeError, match="cannot be looked into"):
        with_sdpa.loss(collate([[with_sdpa.encode(examples[0], teacher.tokenizer)]]))
