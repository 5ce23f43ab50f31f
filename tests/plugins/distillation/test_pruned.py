"""A pruned network computes what its base does with layers passed over, also after it was saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from luthier.data.sources.shipped import Shipped
from luthier.errors import RecipeError
from luthier.models.loading import decoder_layers
from luthier.models.random import Random
from luthier_distillation.layers import ByInfluence, Evenly
from luthier_distillation.pruned import KeptParts, Pruned
from luthier_distillation.width import ByActivation, contributions, narrow
from tests.plugins.distillation.tiny_networks import SIZE

UNUSED = ByActivation(corpus=None)
IDS = torch.tensor([[5, 9, 30, 7]])


@pytest.mark.parametrize(
    ("layers", "keep", "chosen"), [(30, 4, [0, 10, 19, 29]), (30, 30, list(range(30))), (5, 1, [0]), (4, 2, [0, 3])]
)
def test_layers_at_even_distances_keep_both_ends(layers: int, keep: int, chosen: list[int]) -> None:
    assert Evenly()(Random(), layers, keep) == chosen


def test_it_is_the_base_with_layers_passed_over() -> None:
    teacher = Random(config=SIZE, vocabulary=400, seed=1, attn_implementation="sdpa")
    pruned = Pruned(base=teacher, layers=Evenly(), importance=UNUSED, keep=2)
    network, whole = pruned.network().eval(), teacher.network().eval()
    for layer in decoder_layers(whole)[1:3]:
        layer.forward = lambda hidden_states, **others: hidden_states  # type: ignore[assignment]
    with torch.no_grad():
        assert torch.allclose(network(input_ids=IDS).logits, whole(input_ids=IDS).logits, atol=1e-6)
        cached = network.generate(IDS, max_new_tokens=3, do_sample=False, pad_token_id=0)
        plain = network.generate(IDS, max_new_tokens=3, do_sample=False, pad_token_id=0, use_cache=False)
    assert torch.equal(cached, plain)
    assert pruned.config.num_hidden_layers == network.config.num_hidden_layers == 2
    assert pruned.lineage()["layers"] == [0, 3]
    assert (
        pruned.lineage()["sha256"]
        != Pruned(base=teacher, layers=Evenly(), importance=UNUSED, keep=3).lineage()["sha256"]
    )


def test_it_is_saved_as_the_network_that_it_is(teacher: Random, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    network = Pruned(base=teacher, layers=Evenly(), importance=UNUSED, keep=3).network().eval()
    network.save_pretrained(tmp_path)
    with torch.no_grad():
        again = AutoModelForCausalLM.from_pretrained(tmp_path)(input_ids=IDS).logits
        assert torch.allclose(again, network(input_ids=IDS).logits, atol=1e-5)


def test_the_layers_that_do_nothing_have_no_influence_and_go(teacher: Random, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = teacher.network()
    layer = idle.model.layers[1]
    for module in (layer.self_attn.o_proj, layer.mlp.down_proj):
        torch.nn.init.zeros_(module.weight)
    monkeypatch.setattr(teacher, "network", lambda: idle)
    choice = ByInfluence(corpus=Shipped(name="tiny"), texts=3, tokens=40)
    measured = choice.influences(teacher)
    assert measured[1] == pytest.approx(0, abs=1e-6)
    assert min(measured[0], measured[2], measured[3]) > 0.01
    assert choice(teacher, 4, 3) == [0, 2, 3]


def test_a_restored_network_has_the_kept_parts_without_measuring(teacher: Random, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"model": {"layers": [0, 2]}}))
    pruned = Pruned(base=teacher, layers=ByInfluence(corpus=None), importance=UNUSED, keep=2)
    pruned.restore(tmp_path)
    assert pruned.kept == KeptParts([0, 2], None, None)


def test_more_layers_than_there_are_is_refused(teacher: Random) -> None:
    with pytest.raises(RecipeError, match="the base has 4 layers"):
        _ = Pruned(base=teacher, layers=Evenly(), importance=UNUSED, keep=5).config


def test_narrow_layers_are_the_base_with_heads_and_neurons_silenced(teacher: Random, tmp_path: Path) -> None:
    """Of two pairs of heads one goes, and of the neurons half, in each layer those that contribute least."""
    whole = teacher.network().eval()
    important = ByActivation(corpus=Shipped(name="tiny"), texts=3, tokens=40)
    measured = important(teacher)
    pruned = Pruned(base=teacher, layers=Evenly(), importance=important, keep=2, heads=2, feed_forward=24)
    network = pruned.network().eval()
    assert network.config.num_attention_heads == 2
    assert network.config.num_key_value_heads == 1
    assert network.config.intermediate_size == 24
    assert sum(each.numel() for each in network.parameters()) < sum(each.numel() for each in whole.parameters())
    for number, layer in enumerate(decoder_layers(whole)):
        if number in (1, 2):
            layer.forward = lambda hidden_states, **others: hidden_states  # type: ignore[assignment]
            continue
        weakest = sorted(range(48), key=lambda each: measured.neurons[number][each])[:24]
        layer.mlp.down_proj.weight.data[:, weakest] = 0
        head = min(range(2), key=lambda each: measured.heads[number][each])
        layer.self_attn.o_proj.weight.data[:, 16 * head : 16 * (head + 1)] = 0
    with torch.no_grad():
        assert torch.allclose(network(input_ids=IDS).logits, whole(input_ids=IDS).logits, atol=1e-5)
        network.save_pretrained(tmp_path)
        from transformers import AutoModelForCausalLM

        again = AutoModelForCausalLM.from_pretrained(tmp_path)(input_ids=IDS).logits
        assert torch.allclose(again, network(input_ids=IDS).logits, atol=1e-5)
    (tmp_path / "manifest.json").write_text(json.dumps({"model": pruned.lineage()}))
    restored = Pruned(base=teacher, layers=Evenly(), importance=UNUSED, keep=2, heads=2, feed_forward=24)
    restored.restore(tmp_path)
    assert restored.kept == pruned.kept


def test_contributions_are_the_norms_of_what_is_added(teacher: Random) -> None:
    network, texts = teacher.network().eval(), [IDS, IDS[:, :2]]
    measured, sums, count = contributions(network, iter(texts)), torch.zeros(48), 0
    given: list[torch.Tensor] = []
    handle = network.model.layers[0].mlp.down_proj.register_forward_hook(
        lambda *arguments: given.append(arguments[1][0][0])
    )
    with torch.no_grad():
        for ids in texts:
            network(input_ids=ids)
    handle.remove()
    weight = network.model.layers[0].mlp.down_proj.weight
    for token in torch.cat(given):
        sums, count = sums + torch.stack([(token[each] * weight[:, each]).norm() for each in range(48)]), count + 1
    assert torch.allclose(torch.tensor(measured["neurons"][0]), sums / count, atol=1e-5)
    assert len(measured["heads"]) == 4
    assert len(measured["heads"][0]) == 2


def test_heads_that_share_keys_stay_together_and_unknown_layers_are_refused(teacher: Random) -> None:
    def configure(**settings: int) -> None:
        _ = Pruned(base=teacher, layers=Evenly(), importance=UNUSED, keep=2, **settings).config

    wrong = (({"heads": 3}, "2 heads each share"), ({"feed_forward": 0}, "48 neurons"), ({"heads": 8}, "4 heads"))
    for settings, message in wrong:
        with pytest.raises(RecipeError, match=message):
            configure(**settings)
    with pytest.raises(RecipeError, match="0 linear layers called gate_proj"):
        narrow(torch.nn.Linear(2, 2), None, [0], 1)
