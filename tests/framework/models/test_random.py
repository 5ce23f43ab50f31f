"""Random networks: any architecture, any size, the same for the same seed."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from transformers import LlamaForCausalLM

from luthier.errors import RecipeError
from luthier.inference.proof import prove_network
from luthier.models.attention import PACKED_ATTENTION, layout_of
from luthier.models.bpe import byte_level_bpe
from luthier.models.random import Random

TINY = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 256}  # fmt: skip


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, second, third = (Random(config=TINY, seed=seed).network().state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["model.embed_tokens.weight"], third["model.embed_tokens.weight"])


def test_drawing_weights_leaves_the_random_numbers_of_the_program_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    Random(config=TINY).network()
    assert torch.equal(torch.rand(3), expected)


def test_the_size_is_what_the_configuration_says() -> None:
    network = Random(config=TINY | {"num_hidden_layers": 3}).network()
    assert isinstance(network, LlamaForCausalLM)
    assert len(network.model.layers) == 3


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("qwen2", TINY),
        ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}),
        ("gpt_neox", {k: v for k, v in TINY.items() if k != "num_key_value_heads"}),
        ("gemma2", TINY | {"head_dim": 8}),
    ],
)
def test_any_architecture_gives_finite_logits(architecture: str, config: dict) -> None:
    model = Random(architecture=architecture, config=config)
    ids = model.tokenizer("A spruce top.", return_tensors="pt").input_ids
    with torch.no_grad():
        logits = model.network()(input_ids=ids).logits
    assert logits.shape[-1] >= len(model.tokenizer)
    assert logits.isfinite().all()


def test_an_architecture_that_nobody_knows_is_named_with_its_nearest() -> None:
    with pytest.raises(RecipeError, match="llama"):
        _ = Random(architecture="lama").config


def test_rounded_weights_are_those_of_float32() -> None:
    exact = Random(config=TINY).network().state_dict()
    rounded = Random(config=TINY, dtype="bfloat16").network().state_dict()
    assert all(torch.equal(exact[name].bfloat16(), rounded[name]) for name in exact)


def test_the_trained_tokenizer_is_the_same_in_each_process() -> None:
    script = "from luthier.models.bpe import byte_level_bpe; print(byte_level_bpe(600)('Tone wood, 1704').input_ids)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.strip() == str(byte_level_bpe(600)("Tone wood, 1704").input_ids)


def test_the_trained_tokenizer_gives_back_any_text() -> None:
    tokenizer = byte_level_bpe(512)
    text = "Ein Geigenbauer — 琴 🎻\n\n\t1 2  3"
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_the_trained_tokenizer_marks_what_the_assistant_says() -> None:
    tokenizer = byte_level_bpe(512)
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    encoded = tokenizer.apply_chat_template(turns, return_assistant_tokens_mask=True, return_dict=True)
    said = [i for i, mark in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if mark]
    assert tokenizer.decode(said) == "hello<|im_end|>"


def test_a_network_can_borrow_the_tokenizer_of_another_model() -> None:
    lender = Random(config=TINY, vocabulary=300)
    model = Random(config=TINY, tokenizer=lender)
    assert model.tokenizer.get_vocab() == lender.tokenizer.get_vocab()
    assert model.network().get_input_embeddings().num_embeddings == len(lender.tokenizer)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4}),  # accepts any name, and knows no other than its own
        ("falcon", {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}),  # chooses a class by name
        ("codegen", {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 8}),  # makes its mask by name
    ],
)
def test_an_architecture_with_attention_of_its_own_is_built_with_it_and_computes_texts_as_each_alone(
    architecture: str, config: dict[str, int]
) -> None:
    network = Random(architecture=architecture, config=config).network()
    assert network.config._attn_implementation == layout_of(network).attention != PACKED_ATTENTION  # type: ignore[union-attr]
    prove_network(network)


def test_attention_that_a_class_takes_only_as_it_is_built_is_tried_in_a_network_built_with_it() -> None:
    config = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    network = Random(architecture="falcon", config=config, attn_implementation="sdpa").network()
    assert layout_of(network).attention == "sdpa"
