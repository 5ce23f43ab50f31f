"""Networks that nobody knows here, and configurations of unusual sizes: right, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from luthier.errors import RecipeError
from luthier.inference.generation.decoder import Decoder
from luthier.inference.generation.proof import decoding_of
from luthier.inference.proof import prove_adapted, prove_architecture
from luthier.models.attention import PACKED_ATTENTION, Packed, architecture_layout, layout_of
from luthier.models.attention.proof import batch_of
from luthier.models.lm_head import find_lm_head, hidden_states
from luthier.models.proofs import NoTwin, readable_twin
from luthier.models.twin import stir
from luthier_adapters.lora import Lora
from luthier_prefix.p_tuning import PTuning
from luthier_prefix.prefix import Prefix
from luthier_prefix.prompt_tuning import PromptTuning
from tests.architectures.own import FarConfig, FarForCausalLM, FlatConfig, FlatForCausalLM, FlatWithoutGeneration

OWN: dict[str, Any] = {
    "layers beside the head": lambda: FlatForCausalLM(FlatConfig()),
    "layers beside the head, short": lambda: FlatForCausalLM(FlatConfig(block_size=64)),
    "far": lambda: FarForCausalLM(FarConfig()),
}


def made(name: str) -> Any:
    torch.manual_seed(0)
    network = OWN[name]().eval()
    stir(network.parameters())
    return network


@pytest.mark.parametrize("name", OWN)
def test_an_own_network_is_trained_on_packed_texts_as_on_each_alone(name: str) -> None:
    network, batch = made(name), batch_of(((37, 5, 60), (3, 20, 1)), 96)
    hidden, flat = hidden_states(network, batch).flatten(0, 1), batch.input_ids.flatten()
    loss, alone = torch.zeros(()), torch.zeros(())
    for number in batch.sequence_numbers:
        start, stop = batch.boundaries[number], batch.boundaries[number + 1]
        ids = flat[start:stop]
        weights = torch.ones(len(ids) - 1)
        loss = loss + find_lm_head(network).cross_entropy(hidden[start : stop - 1], ids[1:], weights)[0]
        logits = network(input_ids=ids[None], use_cache=False).logits[0, :-1]
        alone = alone + nn.functional.cross_entropy(logits, ids[1:], reduction="sum")
    torch.testing.assert_close(loss, alone)
    weights_of = list(network.parameters())
    ours, theirs = (torch.autograd.grad(each, weights_of, allow_unused=True) for each in (loss, alone))
    for weight, found, wanted in zip(weights_of, ours, theirs, strict=True):
        empty = torch.zeros_like(weight)
        torch.testing.assert_close(found if found is not None else empty, wanted if wanted is not None else empty)


@pytest.mark.parametrize("name", OWN)
def test_an_own_network_generates_rows_as_each_alone(name: str) -> None:
    network, random = made(name), np.random.default_rng(0)
    prompts = [random.integers(3, 96, size).astype(np.int32) for size in (3, 17, 40)]
    for prompt in prompts if not decoding_of(network).padded else ():
        assert generated(network, [prompt]) == [alone(network, prompt)]
    if decoding_of(network).padded:
        assert generated(network, prompts) == [alone(network, prompt) for prompt in prompts]


@pytest.mark.parametrize("name", OWN)
def test_an_own_network_is_proved_with_an_adaptation_and_refused_by_no_plan(name: str) -> None:
    network, adaptation = made(name), Lora(rank=2)
    prove_architecture(network.config, PACKED_ATTENTION, adaptation)
    prove_adapted(adaptation(network), adaptation)


def test_a_network_that_transformers_does_not_generate_with_is_refused_by_its_adaptation() -> None:
    with pytest.raises(RecipeError, match="FlatWithoutGeneration has no prepare_inputs_for_generation") as caught:
        Lora()(FlatWithoutGeneration(FlatConfig()))
    assert "GenerationMixin" in caught.value.hint


def test_an_adaptation_that_a_network_does_not_compute_with_is_refused() -> None:
    """A prefix lies in a cache, which this network does not read."""
    adaptation = Prefix(virtual_tokens=2)
    with pytest.raises(RecipeError, match="FlatForCausalLM with Prefix would learn nothing"):
        prove_adapted(adaptation(made("layers beside the head")), adaptation)


@pytest.mark.parametrize("kind", [Prefix, PromptTuning, PTuning])
def test_virtual_tokens_need_a_configuration_that_says_how_many_layers_there_are(kind: Any) -> None:
    with pytest.raises(RecipeError, match="far_of_nobody does not say num_hidden_layers") as caught:
        kind()(made("far"))
    assert "attribute_map" in caught.value.hint


@pytest.mark.parametrize("kind", [PromptTuning, PTuning])
def test_virtual_tokens_are_as_wide_as_embeddings(kind: Any) -> None:
    """Those of OPT-350m are narrower than its layers."""
    config = CONFIG_MAPPING["opt"](
        vocab_size=96, hidden_size=48, ffn_dim=32, num_hidden_layers=2, num_attention_heads=4, word_embed_proj_dim=24,
        max_position_embeddings=64,
    )  # fmt: skip
    adaptation = kind(virtual_tokens=2)
    prove_adapted(adaptation(built(config)), adaptation)
    assert prove_architecture(config, PACKED_ATTENTION, adaptation) is not None


def test_prompts_behind_virtual_tokens_are_not_padded_where_windows_are_unknown() -> None:
    known = readable_twin(CONFIG_MAPPING["llama"]())
    assert decoding_of(PromptTuning(virtual_tokens=2)(known)).padded
    mine = type("MyLlamaForCausalLM", (type(known),), {"__module__": "mine"})(known.config).eval()
    assert not decoding_of(PromptTuning(virtual_tokens=2)(mine)).padded


def longrope(head_dim: int) -> dict[str, Any]:
    factors = {"long_factor": [4.0] * (head_dim // 2), "short_factor": [1.0] * (head_dim // 2)}
    return {
        "rope_type": "longrope",
        "rope_theta": 1e4,
        "original_max_position_embeddings": 32,
        "factor": 4.0,
        **factors,
    }


def test_a_long_range_rotary_scaling_is_found_at_every_width_of_a_head() -> None:
    sizes = {"hidden_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2}
    layout = architecture_layout(CONFIG_MAPPING["llama"](**sizes, rope_parameters=longrope(12)), PACKED_ATTENTION)
    assert (layout.packed, layout.border, layout.takes_longer) == (Packed.KERNELS, 32, True)


def test_a_border_holds_where_no_twin_can_be_built() -> None:
    """DiffLlama's keys are halved, so that a twin with one key head is none."""
    sizes = {"num_attention_heads": 12, "num_key_value_heads": 2, "hidden_size": 96, "intermediate_size": 32}
    config = CONFIG_MAPPING["diffllama"](**sizes, vocab_size=96, num_hidden_layers=2, rope_parameters=longrope(8))
    with pytest.raises(NoTwin):
        readable_twin(config)
    network = built(config)
    layout = layout_of(network)
    assert (layout.border, layout.takes_longer) == (32, False)
    assert decoding_of(network).border == 32
    with pytest.raises(RecipeError, match="text of 33 tokens"):
        hidden_states(network, batch_of(((33, 5),), 96))


def built(config: Any) -> Any:
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["llama", "qwen3", "gemma2", "granite", "phi3"]),
    st.sampled_from([(1, 1), (2, 1), (3, 3), (6, 3), (5, 1), (12, 4)]),
    st.sampled_from([4, 12, 20, 64]),
    st.booleans(),
)
def test_whatever_its_sizes_a_configuration_has_a_twin(
    model_type: str, heads: tuple[int, int], head_dim: int, long: bool
) -> None:
    config = CONFIG_MAPPING[model_type](
        hidden_size=heads[0] * head_dim, num_attention_heads=heads[0], num_key_value_heads=heads[1], pad_token_id=0,
        rope_parameters=longrope(head_dim) if long else {"rope_type": "default", "rope_theta": 1e4},
        **({} if model_type == "phi3" else {"head_dim": head_dim}),
    )  # fmt: skip
    assert all(weight.isfinite().all() for weight in readable_twin(config).parameters())


def generated(network: Any, prompts: list[np.ndarray]) -> list[list[int]]:
    decoder, found = Decoder(network, decoding_of(network)), []
    with torch.no_grad():
        logits = decoder.start(prompts, 8)
        for _ in range(8):
            found.append(logits.argmax(-1))
            logits = decoder.step(found[-1]) if len(found) < 8 else logits
    return torch.stack(found, dim=1).tolist()


def alone(network: Any, prompt: np.ndarray) -> list[int]:
    ids: Tensor = torch.from_numpy(prompt.astype(np.int64))[None]
    with torch.no_grad():
        for _ in range(8):
            ids = torch.cat([ids, network(input_ids=ids, use_cache=False).logits[:, -1:].argmax(-1)], dim=1)
    return ids[0, len(prompt) :].tolist()
