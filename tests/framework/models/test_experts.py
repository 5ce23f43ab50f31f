"""Mixtures of experts: their layers and routers are found by structure, and how tokens are spread is counted."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from luthier.errors import RecipeError
from luthier.models.experts.balance import balanced_top_k, balancing_coefficient, own_coefficient, routing_totals
from luthier.models.experts.layers import freeze_routers, mixture_layers, plain, router_modules, routing_weights
from luthier.models.experts.outputs import without_router_outputs
from luthier.models.experts.recording import RoutingRecorder
from tests.mixtures import every_mixture, logits, mixture, tokens


def choices(network: nn.Module, given_to_routers: dict[str, tuple[Any, ...]]) -> list[Tensor]:
    """All that routers put out, in the order of calls; each of them is called with what is given, if it is there."""
    found: list[Tensor] = []
    handles = []
    for name, router in router_modules(network).items():

        def before(module: nn.Module, args: tuple[Any, ...], name: str = name) -> tuple[Any, ...]:
            return given_to_routers.setdefault(name, tuple(one.detach().clone() for one in args))

        def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            found.extend(one.detach() for one in (output if isinstance(output, tuple) else [output]) if _is_tensor(one))

        handles += [router.register_forward_pre_hook(before), router.register_forward_hook(after)]
    logits(network, tokens())
    for handle in handles:
        handle.remove()
    return found


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


@pytest.mark.parametrize("model_type", every_mixture())
def test_no_weight_but_those_of_routers_decides_where_tokens_go(model_type):
    network = mixture(model_type)
    routing = set(routing_weights(network).values())
    assert routing
    inputs: dict[str, tuple[Any, ...]] = {}
    before = choices(network, inputs)
    with torch.no_grad():
        for weight in network.parameters():
            if weight not in routing:
                weight.add_(torch.randn_like(weight) * 0.1)
    after = choices(network, inputs)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("model_type", every_mixture())
def test_each_router_and_its_experts_are_found_in_each_layer_that_has_them(model_type):
    network = mixture(model_type)
    layers = mixture_layers(network)
    assert layers
    of_layers = tuple(name for layer in layers for name in (*layer.experts, *layer.routers))
    named = network.named_parameters()
    matrices = [name for name, weight in named if weight.ndim > 1 and "expert" in name and "shared" not in name]
    assert all(name.startswith(of_layers) for name in matrices)
    assert all(layer.routers for layer in layers)
    assert all(layer.experts for layer in layers) == (model_type != "doge")  # whose experts are rows of an embedding


class Block(nn.Module):
    """A mixture as models with code of their own have it: a list of experts beside a linear router."""

    def __init__(self, width: int = 16, experts: int = 4) -> None:
        super().__init__()
        self.gate = nn.Linear(width, experts, bias=False)
        self.gate_proj = nn.Linear(width, width)
        self.experts = nn.ModuleList(nn.Linear(width, width) for _ in range(experts))
        self.shared_expert_gate = nn.Linear(width, 1)


def test_routers_of_code_that_transformers_does_not_have_are_found_beside_a_list_of_experts():
    network = nn.Module()
    network.layers = nn.ModuleList([Block(), Block()])
    found = mixture_layers(network)
    assert [layer.name for layer in found] == ["layers.0", "layers.1"]
    assert list(found[0].routers) == ["layers.0.gate", "layers.0.shared_expert_gate"]
    assert len(plain(found[0].experts["layers.0.experts"])) == 4  # type: ignore[arg-type]


def test_a_dense_network_has_no_routers_and_stays_as_it_is():
    network = LlamaForCausalLM(LlamaConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=2, vocab_size=67,
                                           num_attention_heads=4))  # fmt: skip
    assert mixture_layers(network) == []
    assert all(weight.requires_grad for weight in freeze_routers(network).parameters())


def test_a_bias_that_balances_without_a_gradient_is_frozen_even_where_routers_are_trained():
    network = mixture("ernie4_5_moe").requires_grad_(True)
    freeze_routers(network, unless=True)
    trained = {name.rpartition(".")[2]: weight.requires_grad for name, weight in routing_weights(network).items()}
    assert trained == {"weight": True, "e_score_correction_bias": False}


@pytest.mark.parametrize("model_type", every_mixture(without=frozenset({"doge"})))
def test_the_load_of_experts_is_that_of_the_tokens_that_are_no_padding(model_type):
    network = mixture(model_type)
    recorder = RoutingRecorder(network)
    ids, text = tokens(9).repeat(2, 1), torch.ones(2, 9, dtype=torch.bool)
    text[1, 5:] = False
    with recorder.recording(text) as both:
        network(input_ids=ids, use_cache=False)
    assert len(both.loads) == len(mixture_layers(network))
    assert all(load.sum() > 0 for load in both.loads)
    with recorder.recording(torch.ones(1, 9, dtype=torch.bool)) as first:
        network(input_ids=ids[:1], use_cache=False)
    with recorder.recording(torch.ones(1, 5, dtype=torch.bool)) as second:
        network(input_ids=ids[1:, :5], use_cache=False)
    assert [load.tolist() for load in both.loads] == [
        (one + other).tolist() for one, other in zip(first.loads, second.loads, strict=True)
    ]


def test_nothing_is_recorded_without_gradients_unless_it_is_asked_for():
    network = mixture("mixtral")
    recorder, text = RoutingRecorder(network), torch.ones(1, 12, dtype=torch.bool)
    with torch.no_grad(), recorder.recording(text) as silent:
        network(input_ids=tokens())
    with torch.no_grad(), recorder.recording(text, with_gradients=False) as asked:
        network(input_ids=tokens())
    assert sum(float(load.sum()) for load in silent.loads) == 0
    assert [float(load.sum()) for load in asked.loads] == [24, 24]


@pytest.mark.parametrize("model_type", every_mixture())
def test_the_load_balancing_loss_is_the_architectures_own_or_there_is_none(model_type):
    network = mixture(model_type)
    top_k = balanced_top_k(network)
    if top_k is None:
        assert model_type == "doge" or not hasattr(network, "router_aux_loss_coef")
        return
    ids, text = tokens(9).repeat(2, 1), torch.ones(2, 9, dtype=torch.int64)
    text[1, 5:] = 0
    recorder = RoutingRecorder(network)
    with recorder.recording(text > 0, keeps_logits=True) as recorded:
        theirs = network(input_ids=ids, attention_mask=text, use_cache=False, output_router_logits=True)
    ours = routing_totals(recorded.logits, top_k).loss()
    if model_type == "jetmoe":  # of which transformers records the routers of attention twice
        assert len(recorded.logits) == len(mixture_layers(network)) < len(theirs.router_logits)
        return
    torch.testing.assert_close(ours, theirs.aux_loss, atol=1e-5, rtol=1e-5)
    (gradient,) = torch.autograd.grad(ours, next(iter(routing_weights(network).values())), retain_graph=True)
    (wanted,) = torch.autograd.grad(theirs.aux_loss, next(iter(routing_weights(network).values())))
    torch.testing.assert_close(gradient, wanted, atol=1e-6, rtol=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 9), st.integers(1, 3), st.lists(st.integers(0, 6), min_size=1, max_size=4), st.integers(0, 99))
def test_totals_of_parts_add_up_to_those_of_the_whole(experts, routers, sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    parts = [torch.randn(routers, size, experts, generator=generator) for size in sizes]
    text = [torch.rand(size, generator=generator) > 0.3 for size in sizes]
    whole = torch.cat(parts, dim=1), torch.cat(text)
    together = routing_totals([(one, whole[1]) for one in whole[0]], 2)
    apart = [routing_totals([(one, own) for one in part], 2) for part, own in zip(parts, text, strict=True)]
    for name in ("chosen", "probability", "rows"):
        sums = torch.stack([getattr(part, name) for part in apart]).sum(0)
        torch.testing.assert_close(sums, getattr(together, name), atol=1e-5, rtol=1e-5)


class Balancing:
    """What a method says of the loss."""

    def __init__(self, coefficient: float | None, balances: bool = True) -> None:
        self.router_aux_loss_coef, self.balances_experts = coefficient, balances


def test_the_coefficient_is_the_architectures_own_where_routers_are_trained_and_none_where_they_are_frozen():
    network = mixture("olmoe").requires_grad_(True)
    assert own_coefficient(network.config) == 0.01
    assert balancing_coefficient(Balancing(None), network).value == 0.01
    assert balancing_coefficient(Balancing(0.5), network).value == 0.5
    assert balancing_coefficient(Balancing(0.0), network).value == 0.0
    assert balancing_coefficient(Balancing(None, balances=False), network).value == 0.0
    frozen = balancing_coefficient(Balancing(None), freeze_routers(network))
    assert (frozen.value, "frozen" in frozen.description) == (0.0, True)


@pytest.mark.parametrize(("model_type", "why"), [("deepseek_v3", "has no such loss"), ("llama4_text", "no such loss")])
def test_a_coefficient_is_refused_where_transformers_has_no_such_loss(model_type, why):
    network = mixture(model_type)
    assert balancing_coefficient(Balancing(None), network).value == 0.0
    with pytest.raises(RecipeError, match=why):
        balancing_coefficient(Balancing(0.1), network)


def test_a_configuration_that_asks_for_router_logits_changes_no_call_and_is_kept():
    network = mixture("mixtral")
    network.config.output_router_logits = True
    assert network(input_ids=tokens()).aux_loss is not None
    without_router_outputs(network)
    assert network(input_ids=tokens()).aux_loss is None
    assert network(input_ids=tokens(), output_router_logits=True).aux_loss is not None
    assert network.config.output_router_logits is True
