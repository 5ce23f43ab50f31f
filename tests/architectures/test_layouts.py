"""Architectures that were silently wrong, or refused for no reason: what is found out about each on its twin."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounter
from transformers import CONFIG_MAPPING, Phi3Config

from luthier.errors import RecipeError
from luthier.inference.generation.proof import decoding_of
from luthier.inference.proof import prove_adapted, prove_architecture, prove_network
from luthier.models import proofs
from luthier.models.attention import PACKED_ATTENTION, Packed, architecture_layout, layout_of, register
from luthier.models.attention.proof import batch_of
from luthier.models.lm_head import WholeHead, find_lm_head, hidden_states, last_hidden_state
from luthier.models.twin import stir, twin_network
from luthier_adapters.lora import Lora
from luthier_prefix.prefix import Prefix
from luthier_prefix.prompt_tuning import PromptTuning
from tests.architectures.recurrent import RecurrentConfig, RecurrentForCausalLM
from tests.rounding import assert_equal_but_for_rounding
from tests.scripts import script

architectures = script("architectures")

LAYOUTS = {
    # sinks are part of the softmax
    "gpt_oss": (PACKED_ATTENTION, Packed.KERNELS, True), "mimo_v2_flash": (PACKED_ATTENTION, Packed.KERNELS, True),
    # masks of transformers that are made without positions
    "granite": (PACKED_ATTENTION, Packed.KERNELS, True), "falcon": ("sdpa", Packed.ROWS, False),
    "bloom": ("eager", Packed.ROWS, False), "mpt": ("eager", Packed.ROWS, False), "xglm": ("eager", Packed.ROWS, False),
    "openai-gpt": ("eager", Packed.ROWS, False), "bart": ("sdpa", Packed.ROWS, False),
    "blenderbot": ("sdpa", Packed.ROWS, False),
    # attention of their own
    "gptj": ("eager", Packed.POSITIONS, True), "stablelm": ("sdpa", Packed.POSITIONS, True),
    # windows that a shared prefix does not know of
    "gpt_neo": ("eager", Packed.POSITIONS, False),
    # masks and indices that only their own attention takes
    "llama4_text": ("sdpa", Packed.POSITIONS, False), "deepseek_v32": ("sdpa", Packed.POSITIONS, True),
    # state that runs on from token to token
    "rwkv": ("eager", Packed.ROWS, False), "mamba": ("eager", Packed.ROWS, False),
    "qwen3_next": ("sdpa", Packed.ROWS, False), "lfm2": ("sdpa", Packed.ROWS, False),
    "nemotron_h": ("sdpa", Packed.ROWS, False), "jamba": ("sdpa", Packed.ROWS, False),
}  # fmt: skip
"""The attention, the layout, and whether shared prefixes are computed once."""


def twin_of(model_type: str) -> torch.nn.Module:
    register()
    config = architectures.configuration(model_type)
    return twin_network(config, architecture_layout(config, PACKED_ATTENTION).attention)


@pytest.mark.parametrize("model_type", LAYOUTS)
def test_the_layout_is_the_fastest_that_agrees_with_each_text_alone(model_type: str) -> None:
    layout = layout_of(twin_of(model_type))
    assert (layout.attention, layout.packed, layout.shared_prefixes) == LAYOUTS[model_type]


@pytest.mark.parametrize("model_type", ["xlnet", "prophetnet"])
def test_a_network_whose_tokens_see_later_ones_is_refused(model_type: str) -> None:
    with pytest.raises(RecipeError, match="is no causal language model"):
        architecture_layout(CONFIG_MAPPING[model_type](), PACKED_ATTENTION)


def test_hints_of_another_attention_lead_nowhere_wrong() -> None:
    """Under eager and sdpa, too, what differs when packed is computed row by row."""
    for attention in ("eager", "sdpa"):
        assert architecture_layout(CONFIG_MAPPING["bart"](), attention).packed is Packed.ROWS
    assert architecture_layout(CONFIG_MAPPING["opt"](), "eager").packed is Packed.ROWS


DECODINGS = {
    "mamba": (False, "cache_params"), "mamba2": (False, "cache_params"), "falcon_mamba": (False, "cache_params"),
    "bart": (False, "past_key_values"), "gpt_oss": (True, "past_key_values"), "rwkv": (False, None),
    "qwen3_next": (True, "past_key_values"), "qwen3_5_text": (True, "past_key_values"),
    "lfm2": (True, "past_key_values"), "falcon_h1": (True, "past_key_values"), "jamba": (True, "past_key_values"),
}  # fmt: skip
"""Whether prompts share a padded batch, and the argument of the cache."""


@pytest.mark.parametrize("model_type", DECODINGS)
def test_rows_are_generated_in_the_fastest_way_that_agrees_with_each_alone(model_type: str) -> None:
    way = decoding_of(twin_of(model_type))
    assert (way.padded, way.cache) == DECODINGS[model_type]


def longrope(border: int = 4096) -> Phi3Config:
    factors = {"long_factor": [1 + i / 4 for i in range(48)], "short_factor": [1 + i / 50 for i in range(48)]}
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": border, **factors}
    return Phi3Config(max_position_embeddings=131072, original_max_position_embeddings=border, rope_parameters=rope)


def test_texts_beyond_the_border_of_longrope_do_not_change_those_beside_them() -> None:
    layout = architecture_layout(longrope(), PACKED_ATTENTION)
    assert (layout.packed, layout.border, layout.takes_longer) == (Packed.KERNELS, 4096, True)
    network = twin_network(longrope(16), PACKED_ATTENTION)  # the twin's border is 16 tokens
    assert layout_of(network).border == 16
    batch = batch_of(((5, 21), (9,)), 90)
    found = hidden_states(network, batch)
    for number in batch.sequence_numbers:
        ids = batch.input_ids.flatten()[batch.boundaries[number] : batch.boundaries[number + 1]]
        alone = last_hidden_state(network, {"input_ids": ids[None], "use_cache": False})[0]
        ours = found.flatten(0, 1)[batch.boundaries[number] : batch.boundaries[number + 1]]
        torch.testing.assert_close(ours, alone, rtol=1e-4, atol=1e-4)


def test_what_depends_on_earlier_texts_is_refused_beyond_its_border() -> None:
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    config = CONFIG_MAPPING["llama"](rope_parameters=rope, max_position_embeddings=64)
    layout = architecture_layout(config, PACKED_ATTENTION)
    assert layout.for_texts_of(64) is layout
    with pytest.raises(RecipeError, match=r"text of 65 tokens changes all positions.*64 tokens.*batch.length=64"):
        layout.for_texts_of(65)


@pytest.mark.parametrize("model_type", ["mistral", "gemma2", "gemma3_text", "olmo3", "cohere2", "exaone4", "gpt_neo"])
@pytest.mark.parametrize("kind", [Prefix, PromptTuning])
def test_virtual_tokens_before_windows_do_not_depend_on_the_rest_of_the_batch(model_type: str, kind: Any) -> None:
    adaptation = kind(virtual_tokens=3)
    network = adaptation(twin_of(model_type))
    stir(weight for weight in network.parameters() if weight.requires_grad)
    assert not decoding_of(network).padded
    prove_adapted(network, adaptation)


def test_a_prefix_that_a_network_cannot_read_is_refused_by_name() -> None:
    with pytest.raises(RecipeError, match="DeepseekV3ForCausalLM with Prefix cannot compute"):
        prove_architecture(CONFIG_MAPPING["deepseek_v3"](), PACKED_ATTENTION, Prefix(virtual_tokens=3))


@pytest.mark.parametrize("model_type", ["modernbert-decoder", "recurrent_gemma", "xlstm", "inkling_text"])
def test_a_head_that_is_more_than_a_linear_map_is_called_as_it_is(model_type: str) -> None:
    network = twin_of(model_type)
    head = find_lm_head(network)
    assert isinstance(head.module, WholeHead)
    ids = torch.randint(3, 90, (1, 9), generator=torch.Generator().manual_seed(0))
    hidden = last_hidden_state(network, {"input_ids": ids, "use_cache": False})
    with torch.no_grad():
        expected = network(input_ids=ids, use_cache=False).logits.float()
    assert_equal_but_for_rounding(head.logits(hidden), expected, network, ids)
    loss, _ = head.cross_entropy(hidden[0, :-1], ids[0, 1:], torch.ones(8))
    plain = torch.nn.functional.cross_entropy(expected[0, :-1], ids[0, 1:], reduction="sum")
    torch.testing.assert_close(loss, plain, rtol=1e-4, atol=1e-4)


def test_the_door_finds_what_no_rule_knows() -> None:
    """A layer whose output depends on the row beside it, such as a batch norm, is found out before training."""

    class Neighbours(torch.nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden + hidden.mean(dim=(0, 1), keepdim=True)

    network = twin_of("llama")
    prove_network(network)
    network.model.norm = torch.nn.Sequential(network.model.norm, Neighbours())
    with pytest.raises(RecipeError, match="computes packed texts otherwise than each alone"):
        prove_network(network, name="Mine")


def test_an_architecture_that_takes_boundaries_is_packed_by_them() -> None:
    """A recurrent network of nobody's, told where sequences end, is packed; one that is not told runs row by row."""
    told, untold = (RecurrentForCausalLM(RecurrentConfig(listens=listens)).eval() for listens in (True, False))
    assert layout_of(told).packed is Packed.BOUNDARIES
    assert layout_of(untold).packed is Packed.ROWS


def test_what_was_proved_is_kept_and_read_again(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path))  # the user's own has it from the last time
    config = CONFIG_MAPPING["llama"]()
    made = []

    def prove(twin: torch.nn.Module) -> dict[str, Any]:
        made.append(twin)
        return {"found": 1}

    for _ in range(2):
        monkeypatch.setattr(proofs, "_known", {})
        assert proofs.proved_on_twin("test", config, "", prove) == {"found": 1}
    assert len(made) == 1
    assert proofs.proved_on_twin("test", config, "other settings", prove) == {"found": 1}
    assert len(made) == 2


def test_lora_is_proved_beside_it() -> None:
    found = prove_architecture(CONFIG_MAPPING["qwen2"](), PACKED_ATTENTION, Lora())
    assert found is not None
    assert found.layout.packed is Packed.KERNELS


def test_the_door_compiles_nothing() -> None:
    network, counted = twin_of("llama"), CompileCounter()
    for layer in network.model.layers:
        layer.compile(backend=counted)
    prove_network(network)
    assert counted.frame_count == 0
    network(input_ids=torch.ones(1, 5, dtype=torch.int64))
    assert counted.frame_count > 0
