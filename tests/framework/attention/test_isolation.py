"""Packed sequences give the losses and gradients that each gives alone, for every attention that runs here."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch._dynamo
import transformers
from torch import Tensor, nn

from luthier.contracts.batch import Batch
from luthier.errors import RecipeError
from luthier.models import attention
from luthier.models.lm_head import find_lm_head, hidden_states, last_hidden_state

SIZES: dict[str, Any] = {
    "vocab_size": 67, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", SIZES),
    "qwen2": ("Qwen2", SIZES),
    "qwen2 with windows": ("Qwen2", SIZES | {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}),
    "mistral": ("Mistral", SIZES | {"sliding_window": 3}),
    "gemma2": ("Gemma2", SIZES | {"sliding_window": 4, "attn_logit_softcapping": 0.7}),
    "gemma2 uncapped": ("Gemma2", SIZES | {"sliding_window": 4, "attn_logit_softcapping": None}),
    "gpt2": ("GPT2", {"vocab_size": 67, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}),
    "qwen3_next": (
        "Qwen3Next",
        SIZES
        | {
            "num_hidden_layers": 4,
            "num_experts": 4,
            "moe_intermediate_size": 16,
            "num_experts_per_tok": 2,
            "shared_expert_intermediate_size": 16,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
        },
    ),
    "gptneox": ("GPTNeoX", {k: v for k, v in SIZES.items() if k not in ("num_key_value_heads", "head_dim")}),
}
LENGTHS = ((9, 2, 5), (7, 8))
WIDTH = 18


def build(name: str, implementation: str, **more: Any) -> nn.Module:
    attention.register()
    torch.manual_seed(0)
    architecture, settings = NETWORKS[name]
    config = getattr(transformers, f"{architecture}Config")(**settings | more)
    network = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=implementation)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network.eval()


def sequences() -> list[list[Tensor]]:
    random = torch.Generator().manual_seed(1)
    return [[torch.randint(3, 67, (n,), generator=random) for n in row] for row in LENGTHS]


def packed() -> Batch:
    ids = torch.zeros(len(LENGTHS), WIDTH, dtype=torch.long)
    positions, segments, weights = ids.clone(), ids.int(), ids.float()
    boundaries = [0]
    for row, parts in enumerate(sequences()):
        start = 0
        for number, part in enumerate(parts, 1):
            stop = start + len(part)
            ids[row, start:stop], segments[row, start:stop] = part, number
            positions[row, start:stop], weights[row, start + 1 : stop] = torch.arange(len(part)), 1.0
            boundaries.append(row * WIDTH + stop)
            start = stop
        positions[row, start:] = torch.arange(WIDTH - start)
        boundaries.append((row + 1) * WIDTH)
    return Batch(ids, weights, positions, segments, tuple(boundaries), (0, 1))


def gradients(network: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    network.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def alone(network: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """One plain call for each sequence: full logits, no packing, nothing of ours."""
    total = torch.zeros(())
    for part in (part for row in sequences() for part in row):
        logits = network(input_ids=part[None], use_cache=False).logits[0, :-1]
        total = total + nn.functional.cross_entropy(logits, part[1:], reduction="sum")
    return total, gradients(network, total)


def inputs_of(network: nn.Module, batch: Batch) -> dict[str, Any]:
    (only,) = attention.forward_passes(batch, attention.layout_of(network))
    return only.inputs


def together(network: nn.Module, **changed: Any) -> tuple[Tensor, dict[str, Tensor]]:
    batch = packed()
    hidden = hidden_states(network, batch)
    if changed:
        hidden = last_hidden_state(network, inputs_of(network, batch) | changed)
    total, weight = find_lm_head(network).cross_entropy(
        hidden[:, :-1].flatten(0, 1), batch.input_ids[:, 1:].flatten(), batch.weights[:, 1:].flatten()
    )
    assert weight == sum(n - 1 for row in LENGTHS for n in row)
    return total, gradients(network, total)


def assert_same(ours: tuple[Tensor, dict[str, Tensor]], theirs: tuple[Tensor, dict[str, Tensor]]) -> None:
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-5, atol=1e-5)
    assert ours[1].keys() == theirs[1].keys()
    for name, gradient in ours[1].items():
        scale = theirs[1][name].abs().max().clamp(min=1.0)
        torch.testing.assert_close(
            gradient / scale, theirs[1][name] / scale, rtol=1e-5, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )


def dense_mask() -> Tensor:
    batch = packed()
    same = batch.segments[:, None, :, None] == batch.segments[:, None, None, :]
    return same & torch.ones(WIDTH, WIDTH, dtype=torch.bool).tril()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("implementation", ["luthier_packed", "sdpa", "eager"])
def test_packed_equals_alone(name: str, implementation: str) -> None:
    if implementation == "sdpa" and name.startswith("gemma2"):
        with pytest.raises(ValueError, match="does not support an attention implementation through torch"):
            build(name, "sdpa")
        return
    assert_same(together(build(name, implementation)), alone(build(name, "eager")))


@pytest.mark.parametrize("name", ["llama", "qwen2", "gptneox", "gpt2"])
def test_packed_equals_alone_by_an_explicit_mask_of_four_dimensions(name: str) -> None:
    assert_same(together(build(name, "sdpa"), attention_mask=dense_mask()), alone(build(name, "sdpa")))
    additive = torch.zeros(dense_mask().shape).masked_fill(~dense_mask(), torch.finfo(torch.float32).min)
    assert_same(together(build(name, "eager"), attention_mask=additive), alone(build(name, "eager")))


def test_packed_equals_alone_with_gradient_checkpointing() -> None:
    network = build("llama", "luthier_packed").train()
    network.gradient_checkpointing_enable({"use_reentrant": False})
    assert_same(together(network), alone(build("llama", "eager")))


def test_packed_equals_alone_with_each_layer_compiled() -> None:
    network = build("llama", "luthier_packed")
    for layer in network.model.layers:
        layer.compile(backend="aot_eager")
    assert_same(together(network), alone(build("llama", "eager")))


def test_what_is_compiled_once_serves_every_layer_and_every_packing() -> None:
    network = build("llama", "luthier_packed")
    for layer in network.model.layers:
        layer.compile(backend="aot_eager")
    together(network)
    batch = packed()
    with torch._dynamo.config.patch(error_on_recompile=True):
        for boundaries in ((0, 5, 18, 36), (0, 1, 2, 3, 9, 18, 20, 36)):
            batch.boundaries = boundaries
            hidden_states(network, batch).sum().backward()


def test_under_autocast_only_the_rounding_differs() -> None:
    network, plain = build("llama", "luthier_packed"), build("llama", "eager")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = together(network)
    assert loss.item() == pytest.approx(alone(plain)[0].item(), rel=0.01)


@pytest.mark.parametrize("wrong", [{"use_cache": True}, {"attention_mask": torch.ones(2, WIDTH)}])
def test_the_trap_of_plain_transformers_is_there_and_forward_passes_avoid_it(wrong: dict[str, Any]) -> None:
    """With a cache or a mask given, transformers lets packed sequences see each other and says nothing."""
    network = build("llama", "sdpa")
    right = together(network)[0]
    assert abs(together(network, **wrong)[0] - right) > 1e-2
    assert inputs_of(network, packed())["use_cache"] is False
    assert inputs_of(network, packed())["attention_mask"] is None


def test_changing_one_sequence_changes_no_other() -> None:
    network, batch = build("llama", "luthier_packed"), packed()
    before = hidden_states(network, batch)
    batch.input_ids[0, 3] = 66
    after = hidden_states(network, batch)
    changed = (before != after).any(-1)
    assert changed[0, 3:9].all()
    assert not changed[0, :3].any()
    assert not changed[0, 9:16].any()
    assert not changed[1].any()


def test_a_network_that_loses_the_boundaries_is_found_out() -> None:
    network = build("llama", "luthier_packed")
    with pytest.raises(RecipeError, match="was not told where the sequences"):
        together(network, packing=None)


def test_tokens_put_before_packed_sequences_are_refused() -> None:
    network, batch = build("llama", "luthier_packed"), packed()
    inputs = inputs_of(network, batch)
    cache = network(input_ids=torch.tensor([[5, 6], [5, 6]]), use_cache=True).past_key_values
    with pytest.raises(RecipeError, match="virtual tokens or a cache"):
        network(**inputs | {"past_key_values": cache})


def test_layers_that_carry_a_state_are_computed_row_by_row() -> None:
    network = build("qwen3_next", "luthier_packed")
    assert attention.layout_of(network).packed is attention.Packed.ROWS
    batch = packed()
    found = hidden_states(network, batch)
    for row, parts in enumerate(sequences()):
        start = 0
        for part in parts:
            by_itself = last_hidden_state(network, {"input_ids": part[None], "use_cache": False})[0]
            torch.testing.assert_close(found[row, start : start + len(part)], by_itself, rtol=1e-4, atol=1e-4)
            start += len(part)
