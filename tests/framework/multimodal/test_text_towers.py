"""What of a network text passes through: found by its structure, and measured by the gradients that text gives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from luthier.contracts.batch import Row, TokenSequence
from luthier.data.collate import collate
from luthier.errors import RecipeError
from luthier.models import attention
from luthier.models.attention import attention_to_build, layout_of
from luthier.models.attention.layouts import PACKED_ATTENTION, Packed
from luthier.models.auto_class import auto_class
from luthier.models.folder import Folder
from luthier.models.lm_head import find_lm_head, hidden_states
from luthier.models.loading import decoder_layers, meta_causal_lm
from luthier.models.modalities import other_modalities, text_weights
from luthier.models.proofs import NoTwin, readable_twin
from luthier.models.text_attention import set_text_attention
from tests.framework.multimodal.families import FAMILIES, SPECIAL, network_of, save

EVERY = [*FAMILIES, *SPECIAL]
ROW_BY_ROW = {"qwen3_5"}
"""Families whose layers carry a state that transformers does not reset between packed sequences on a CPU."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("family", EVERY)
def test_the_weights_of_text_are_those_that_text_gives_a_gradient(family):
    network = network_of(family).train()
    network(input_ids=torch.arange(10, 58)[None]).logits.pow(2).sum().backward()
    moved = {name for name, weight in network.named_parameters() if weight.grad is not None}
    assert set(text_weights(network)) == moved
    assert len(moved) < len(list(network.parameters())), "and there are others"


@pytest.mark.parametrize("family", EVERY)
def test_the_structure_is_read_on_the_meta_device_as_well(family):
    network = network_of(family)
    assert other_modalities(meta_causal_lm(network.config)) == other_modalities(network)


@pytest.mark.parametrize("family", EVERY)
def test_layers_are_those_of_the_text_tower(family):
    network = network_of(family)
    inside = {module for name, module in network.named_modules() if not name.startswith(("model.vis", "model.audio"))}
    assert set(decoder_layers(network)) <= inside
    count = network.config.get_text_config().num_hidden_layers - (family == "mllama")
    assert len(decoder_layers(network)) == count, "without attention to images, which text leaves out"


@pytest.mark.parametrize("family", EVERY)
def test_its_twin_has_the_classes_of_the_whole_network_and_no_other_towers(family):
    network = network_of(family)
    twin = readable_twin(network.config, within=False)
    assert type(twin) is type(network)
    assert all(weight.numel() for weight in text_weights(twin).values())
    others = [weight for name, weight in twin.named_parameters() if name not in text_weights(twin)]
    assert others
    assert all(weight.untyped_storage().nbytes() <= 4 for weight in others)


@pytest.mark.parametrize("family", [family for family in EVERY if family != "paligemma"])
def test_packed_texts_are_computed_as_each_alone_by_the_whole_network(family):
    attention.register()
    network = network_of(family)
    network.set_attn_implementation(PACKED_ATTENTION)
    texts = [torch.arange(start, start + size) for start, size in ((10, 9), (40, 33), (100, 4))]
    sequences = [TokenSequence(text.int().numpy(), torch.ones(len(text)).numpy()) for text in texts]
    batch = collate([[Row((sequence,)) for sequence in sequences]])
    head = find_lm_head(network)
    with torch.no_grad():
        packed = head.logits(hidden_states(network, batch)[0])
        for text, found in zip(texts, packed.split([len(text) for text in texts]), strict=False):
            torch.testing.assert_close(found, alone(family, text), atol=2e-4, rtol=1e-3)
    assert (layout_of(network).packed is Packed.ROWS) == (family in ROW_BY_ROW)


@pytest.mark.parametrize("family", [family for family in EVERY if family != "paligemma"])
def test_attention_is_chosen_for_the_text_part_and_towers_keep_their_own(family, tmp_path):
    network = Folder(path=str(save(family, tmp_path / "base"))).network()
    text = network.config.get_text_config()
    assert text._attn_implementation == attention_to_build(network.config, PACKED_ATTENTION)
    named = [
        name for name in network.config.sub_configs if (part := getattr(network.config, name)) and part is not text
    ]
    assert named
    assert all(getattr(network.config, name)._attn_implementation in ("sdpa", "eager") for name in named)
    set_text_attention(network, "eager")
    assert text._attn_implementation == "eager"


def alone(family: str, text: Tensor) -> Tensor:
    """The logits that plain transformers gives one text."""
    network = network_of(family)
    network.set_attn_implementation("eager")
    logits: Tensor = network(input_ids=text[None], use_cache=False).logits[0]
    return logits


def test_a_network_that_reads_its_prompt_in_both_directions_is_refused_by_name():
    with pytest.raises(RecipeError, match=r"PaliGemma.* no causal language model"):
        layout_of(network_of("paligemma"))


def test_a_network_that_needs_an_image_beside_a_text_is_refused_by_name():
    from transformers import Blip2Config, Blip2ForConditionalGeneration

    tiny = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    opt = {"model_type": "opt", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 32,
           "word_embed_proj_dim": 32, "vocab_size": 64}  # fmt: skip
    config = Blip2Config(
        text_config=opt,
        vision_config={**tiny, "image_size": 16, "patch_size": 8},
        qformer_config={**tiny, "vocab_size": 8},
    )
    with pytest.raises(NoTwin):
        readable_twin(config, within=False)
    with pytest.raises(RecipeError, match=r"Blip2ForConditionalGeneration cannot compute a plain text.*pixel_values"):
        layout_of(Blip2ForConditionalGeneration(config))


def test_an_encoder_decoder_is_refused_by_name():
    from transformers import BartConfig, T5Config

    for config in (T5Config(), BartConfig(architectures=["BartForConditionalGeneration"])):
        with pytest.raises(RecipeError, match="is an encoder-decoder"):
            auto_class(config)
    assert auto_class(BartConfig(architectures=["BartForCausalLM"])).__name__ == "AutoModelForCausalLM"


def test_the_tower_that_is_named_alone_is_loaded_alone():
    from transformers import Llama4Config, Qwen3_5TextConfig

    assert auto_class(Llama4Config(architectures=["Llama4ForCausalLM"])).__name__ == "AutoModelForCausalLM"
    assert auto_class(Qwen3_5TextConfig(architectures=["Qwen3_5ForCausalLM"])).__name__ == "AutoModelForCausalLM"
