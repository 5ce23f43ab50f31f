"""Adaptations of mixtures of experts: no router is wrapped, experts are adapted on request, and exports are exact."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import nn
from transformers import AutoModelForCausalLM

from luthier.errors import RecipeError
from luthier.models.adaptation import FullFineTuning, with_saved_adapter
from luthier.models.experts.layers import router_modules, routing_weights
from luthier_adapters.adalora import AdaLora
from luthier_adapters.eva import Eva, _token_states
from luthier_adapters.lisa import LayerSampling, Lisa
from luthier_adapters.lora import Lora, LoraPlus
from luthier_adapters.orthogonal import Oft
from luthier_adapters.principal import Pissa
from luthier_adapters.products import LoHa, LoKr
from luthier_adapters.quantized import Qlora
from luthier_adapters.selective import BitFit, EmbeddingRate, Freeze
from luthier_adapters.vera import Vera
from tests.mixtures import every_mixture, logits, mixture, tokens
from tests.rounding import assert_equal_but_for_rounding

NO_TENSORS = frozenset({"doge", "dbrx"})
"""Architectures whose experts are no tensors of [experts, rows, columns]."""
RENAMED_BY_PEFT = frozenset({"laguna", "inkling2_text"})
"""Where plain PEFT takes names in the file for those of transformers 4, and fills some weights with nothing."""


def moved(network: nn.Module, scale: float = 0.02) -> nn.Module:
    """The network with every trainable weight moved a little, as by training."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=generator) * scale)
    return network.eval()


def wrapped(network: nn.Module) -> list[str]:
    """The modules of routers in which PEFT put an adapter."""
    parts = [name for router in router_modules(network) for name, _ in network.named_modules() if f"{router}." in name]
    return [name for name in parts if "lora_" in name or "base_layer" in name]


@pytest.mark.parametrize("model_type", every_mixture(without=NO_TENSORS))
def test_adapted_experts_load_in_plain_peft_and_export_to_plain_transformers(model_type: str, tmp_path: Path) -> None:
    adaptation, ids = Lora(rank=2, experts=True), tokens()
    routing = {name: weight.clone() for name, weight in routing_weights(mixture(model_type)).items()}
    network = moved(adaptation(mixture(model_type)))
    said = logits(network, ids)
    assert not wrapped(network)
    assert float((said - logits(mixture(model_type), ids)).abs().max()) > 1e-3
    adaptation.save(network, tmp_path)
    assert torch.equal(logits(with_saved_adapter(mixture(model_type), tmp_path), ids), said)
    if model_type not in RENAMED_BY_PEFT:
        assert torch.equal(logits(PeftModel.from_pretrained(mixture(model_type), str(tmp_path)), ids), said)
    merged: Any = adaptation.merge(network)
    merged.save_pretrained(tmp_path / "merged")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", attn_implementation="eager")
    assert_equal_but_for_rounding(logits(plain, ids), said, plain, ids)
    assert all(torch.equal(weight, routing[name]) for name, weight in routing_weights(plain).items())


@pytest.mark.parametrize("model_type", every_mixture())
def test_all_linear_layers_are_none_of_a_router_and_every_one_has_an_effect(model_type: str, tmp_path: Path) -> None:
    adaptation, ids = Lora(rank=2), tokens()
    network = moved(adaptation(mixture(model_type)))
    assert not wrapped(network)
    logits_with_gradients = network(input_ids=ids, use_cache=False).logits
    logits_with_gradients.square().mean().backward()
    adapters = [(name, weight) for name, weight in network.named_parameters() if weight.requires_grad]
    idle = [name for name, weight in adapters if weight.grad is None or not weight.grad.any()]
    assert [name for name in idle if not ("indexer" in name or "compressor" in name)] == []  # which choose, by top k
    adaptation.save(network, tmp_path)
    said = logits(network, ids)
    assert torch.equal(logits(with_saved_adapter(mixture(model_type), tmp_path), ids), said)
    merged = adaptation.merge(network)
    assert_equal_but_for_rounding(logits(merged, ids), said, merged, ids)


@pytest.mark.parametrize("model_type", ["mixtral", "qwen3_next", "phimoe", "llama4_text", "jetmoe", "dbrx", "doge"])
@pytest.mark.parametrize(
    "adaptation",
    [AdaLora(rank=4, target=2), LoHa(rank=2), LoKr(rank=2), Oft(block=4), Vera(rank=4), Pissa(rank=2),
     Lora(rank=2, dora=True), Lora(rank=2, dropout=0.1), LoraPlus(rank=2)],
    ids=lambda one: f"{type(one).__name__}{'-dora' * getattr(one, 'dora', False)}",
)  # fmt: skip
def test_no_adapter_wraps_a_router(model_type: str, adaptation: Any) -> None:
    network, plain, ids = adaptation(mixture(model_type)), mixture(model_type), tokens()
    assert not wrapped(network)
    assert not any(weight.requires_grad for weight in routing_weights(network).values())
    assert_equal_but_for_rounding(logits(network, ids), logits(plain, ids), plain, ids)


@pytest.mark.parametrize(
    ("adaptation", "reaches"),
    [(FullFineTuning, "weight"), (EmbeddingRate, "weight"), (Lisa, "weight"), (partial(Freeze, last=4), "weight"),
     (partial(BitFit, norms=True), "bias")],
    ids=["full", "embedding_rate", "lisa", "freeze", "bitfit"],
)  # fmt: skip
@pytest.mark.parametrize("model_type", ["gpt_oss", "jetmoe", "afmoe"])
def test_own_weights_are_trained_without_routers_unless_they_are_asked_for(
    model_type: str, adaptation: Any, reaches: str
) -> None:
    network = adaptation()(mixture(model_type))
    assert any(weight.requires_grad for weight in network.parameters())
    assert not any(weight.requires_grad for weight in routing_weights(network).values())
    asked = routing_weights(adaptation(routers=True)(mixture(model_type)))
    trained = {name for name, weight in asked.items() if weight.requires_grad}
    wanted = {name for name in asked if name.endswith(reaches) or reaches == "weight"}
    assert trained == {name for name in wanted if "expert_bias" not in name}  # which gets no gradient


def test_a_pattern_that_names_routers_asks_for_them() -> None:
    network = Freeze(last=1, also=["*router.weight"])(mixture("gpt_oss"))
    assert [weight.requires_grad for name, weight in routing_weights(network).items() if name.endswith("weight")] == [
        True,
        True,
    ]


def test_layers_that_are_sampled_keep_their_routers_frozen() -> None:
    network = Lisa(layers=2, every=1)(mixture("mixtral"))

    class Trainer:
        global_step, optimizers = 0, ()

    class Training:
        pass

    training: Any = Training()
    training.network = network
    sampling = LayerSampling(2, 1, 0)
    for act in (sampling.on_train_batch_start, lambda *_: sampling.on_train_end(Trainer(), training)):  # type: ignore[arg-type]
        act(Trainer(), training, None, 0)  # type: ignore[arg-type]
        assert not any(weight.requires_grad for weight in routing_weights(network).values())
        assert any(weight.requires_grad for weight in network.parameters())


@pytest.mark.parametrize("model_type", ["mixtral", "qwen2_moe", "phimoe", "llama4_text", "jetmoe", "ernie4_5_moe"])
def test_routers_that_are_asked_for_are_trained_whole_and_saved(model_type: str, tmp_path: Path) -> None:
    adaptation, ids = Lora(rank=2, routers=True, experts=True), tokens()
    network = moved(adaptation(mixture(model_type)))
    assert not wrapped(network)
    trained = [name for name, weight in routing_weights(network).items() if weight.requires_grad]
    assert len(trained) >= len(router_modules(network))
    said = logits(network, ids)
    adaptation.save(network, tmp_path)
    assert torch.equal(logits(PeftModel.from_pretrained(mixture(model_type), str(tmp_path)), ids), said)
    merged = adaptation.merge(network)
    assert set(merged.state_dict()) == set(mixture(model_type).state_dict())
    assert_equal_but_for_rounding(logits(merged, ids), said, merged, ids)


@pytest.mark.parametrize(
    ("model_type", "settings", "said"),
    [
        ("mixtral", {"experts": True, "dora": True}, "use_dora"),
        ("mixtral", {"experts": True, "dropout": 0.1}, "lora_dropout"),
        ("falcon_h1", {"targets": ["out_proj"]}, "incompatible with Mamba-based models"),
        ("nemotron_h", {"targets": ["out_proj", "q_proj"]}, "incompatible with Mamba-based models"),
        ("mamba2", {"targets": ["in_proj", "conv1d"]}, "incompatible with Mamba-based models"),
        ("mixtral", {"targets": ["self_attn"]}, "MixtralAttention is not supported"),
    ],
)
def test_where_peft_refuses_its_own_reason_is_said(model_type: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match="PEFT refuses to adapt") as caught:
        Lora(**settings)(mixture(model_type))
    assert said in caught.value.message
    assert "no module" not in caught.value.message


@pytest.mark.parametrize(
    "model_type", ["mamba", "mamba2", "falcon_mamba", "falcon_h1", "nemotron_h", "bamba", "zamba2"]
)
def test_all_linear_leaves_out_what_a_mixer_reads_past_its_module(model_type: str) -> None:
    adaptation, ids = Lora(rank=2), tokens()
    network = moved(adaptation(mixture(model_type)))
    assert not any(name.endswith("out_proj.lora_A") for name, _ in network.named_modules())
    said = logits(network, ids)
    merged = adaptation.merge(network)
    assert_equal_but_for_rounding(logits(merged, ids), said, merged, ids)


@pytest.mark.parametrize("adaptation", [Lora, LoHa, Oft, Vera])
@pytest.mark.parametrize(
    ("targets", "said", "way_out"),
    [
        (["q_proj", "v_porj"], "no module 'v_porj'", "v_proj"),
        (["v_porj"], "no module 'v_porj'", "v_proj"),
        ("v_porj", "no module 'v_porj'", "v_proj"),
        ("q_proj", "read as a regular expression", r"adaptation.targets=\[q_proj\]"),
        ("(", "no regular expression", ""),
        (["gate", "q_proj"], "routers of experts alone", "adaptation.routers=true"),
        (".*gate", "routers of experts alone", "adaptation.routers=true"),
        (["gate_proj", "up_proj"], "no module 'gate_proj'", "adaptation.experts=true"),
        (["experts.gate_up_proj"], "no module 'experts.gate_up_proj'", "adaptation.experts=true"),
    ],
)
def test_a_name_that_fits_nothing_or_routers_alone_is_refused(
    adaptation: Any, targets: Any, said: str, way_out: str
) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        adaptation(targets=targets)(mixture("mixtral"))
    assert caught.value.where == "adaptation.targets"
    assert way_out.replace("\\", "") in caught.value.hint


@pytest.mark.parametrize("model_type", ["mixtral", "llama"])
def test_a_pattern_adapts_what_it_fits_and_nothing_else(model_type: str) -> None:
    network = Lora(rank=2, targets=r".*layers\.1\..*(q|v)_proj")(mixture(model_type))
    adapted = [name.partition(".lora_A")[0] for name, _ in network.named_parameters() if "lora_A" in name]
    assert [name.partition("layers.")[2] for name in adapted] == ["1.self_attn.q_proj", "1.self_attn.v_proj"]


@pytest.mark.parametrize("setting", ["experts", "routers"])
def test_a_dense_network_has_neither_experts_nor_routers(setting: str) -> None:
    with pytest.raises(RecipeError, match=f"has no {setting}") as caught:
        Lora(**{setting: True})(mixture("llama"))
    assert caught.value.where == f"adaptation.{setting}"


@pytest.mark.parametrize("model_type", sorted(NO_TENSORS))
def test_experts_that_peft_cannot_adapt_are_refused(model_type: str) -> None:
    with pytest.raises(RecipeError, match="no tensors of") as caught:
        Lora(experts=True)(mixture(model_type))
    assert caught.value.where == "adaptation.experts"


@pytest.mark.parametrize("adaptation", [Lora(rank=2, dora=True), Lora(rank=2, dropout=0.1), Eva(rank=2), Qlora(rank=2)])
def test_layers_that_peft_takes_for_experts_are_left_out_or_refused_where_they_cannot_be_parameters(
    adaptation: Any,
) -> None:
    """PEFT adapts `gate_proj` of a shared expert as a parameter alone, by LoRA without dropout, DoRA and four bits."""
    network = adaptation(mixture("deepseek_v3").to("meta"))
    adapted = {name.rpartition(".lora_A")[0] for name, _ in network.named_modules() if "lora_A" in name}
    assert adapted
    assert not any("gate_proj" in name for name in adapted)
    with pytest.raises(RecipeError):
        type(adaptation)(**{**vars_of(adaptation), "targets": ["gate_proj"]})(mixture("deepseek_v3").to("meta"))


def vars_of(adaptation: Any) -> dict[str, Any]:
    """The settings of an adaptation."""
    return {field.name: getattr(adaptation, field.name) for field in fields(adaptation) if field.init}


def test_eva_reads_flattened_tokens_and_heads() -> None:
    mask = torch.tensor([[True, True, False]])
    states = torch.arange(6.0).view(1, 3, 2)
    for given in (states, states.view(3, 2), states.view(1, 1, 3, 2)):
        assert _token_states(given, mask, "layer").tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert _token_states(torch.ones(5, 2), mask, "an expert").shape == (5, 2)
