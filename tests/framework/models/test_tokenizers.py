"""What a tokenizer leaves open is settled, and what cannot be settled is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from luthier.errors import RecipeError
from luthier.models.bpe import byte_level_bpe
from luthier.models.random import Random
from luthier.models.templates import template
from luthier.models.tokenizers import configure_tokenizer

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi."},
    {"role": "user", "content": "Bye"},
    {"role": "assistant", "content": "Bye."},
]


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerBase:
    return byte_level_bpe(400)


@pytest.fixture
def config(tiny: dict):
    return Random(config=tiny, vocabulary=400).config


def test_a_tokenizer_without_a_limit_gets_that_of_the_network(tokenizer, config) -> None:
    assert tokenizer.model_max_length > 10**9
    configure_tokenizer(tokenizer, config)
    assert tokenizer.model_max_length == config.max_position_embeddings == 256


def test_a_limit_below_that_of_the_network_stays(tokenizer, config) -> None:
    tokenizer.model_max_length = 100
    configure_tokenizer(tokenizer, config)
    assert tokenizer.model_max_length == 100


def test_a_tokenizer_without_padding_gets_a_special_token_that_nothing_else_uses(tokenizer, config) -> None:
    tokenizer.pad_token = None
    said = configure_tokenizer(tokenizer, config)
    assert tokenizer.pad_token == "<|endoftext|>"
    assert any("pad" in sentence for sentence in said)


def test_without_an_end_of_sequence_token_no_answer_could_end(tokenizer, config) -> None:
    tokenizer.eos_token = None
    with pytest.raises(RecipeError, match="end-of-sequence"):
        configure_tokenizer(tokenizer, config)


def test_a_tokenizer_with_more_ids_than_the_network_has_embeddings_is_refused(tokenizer, tiny) -> None:
    config = Random(config=tiny | {"vocab_size": 399}, vocabulary=400)
    with pytest.raises(RecipeError, match="399 embeddings"):
        _ = config.tokenizer


def test_a_placeholder_of_an_image_needs_no_embedding_but_any_other_token_does(tokenizer, config) -> None:
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    with pytest.raises(RecipeError, match="400 embeddings"):
        configure_tokenizer(tokenizer, config)
    config.image_token_id = 400
    configure_tokenizer(tokenizer, config)


def test_a_template_whose_turn_tokens_are_unknown_is_refused_and_plain_is_the_way_out(config) -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"a": 0, "</s>": 1, "?": 2}, unk_token="?"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>")
    with pytest.raises(RecipeError, match=r"im_start.*plain"):
        configure_tokenizer(tokenizer, config, chat_template="chatml")
    configure_tokenizer(tokenizer, config, chat_template="plain")


@pytest.mark.parametrize("name", ["nothing", "chatml.jinja", "../templates/chatml", "__init__"])
def test_a_template_that_does_not_exist_is_named_with_those_that_do(name: str) -> None:
    with pytest.raises(RecipeError, match="chatml, plain"):
        template(name)


def test_a_template_can_come_from_a_file(tokenizer, config, tmp_path: Path) -> None:
    (tmp_path / "own.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    configure_tokenizer(tokenizer, config, chat_template=str(tmp_path / "own.jinja"))
    assert tokenizer.apply_chat_template(CHAT, tokenize=False) == "Be brief.HelloHi.ByeBye."


@pytest.mark.parametrize(("name", "ends"), [("chatml", "<|im_end|>"), ("plain", "<|im_end|>")])
def test_our_templates_mark_each_turn_of_the_assistant_with_its_end(tokenizer, config, name: str, ends: str) -> None:
    configure_tokenizer(tokenizer, config, chat_template=name)
    encoded = tokenizer.apply_chat_template(CHAT, return_dict=True, return_assistant_tokens_mask=True)
    marked = [i if mark else None for i, mark in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True)]
    turns = "".join("·" if i is None else tokenizer.decode([i]) for i in marked).split("·")
    assert [turn for turn in turns if turn] == [f"Hi.{ends}", f"Bye.{ends}"]


@pytest.mark.parametrize("name", ["chatml", "plain"])
def test_the_prompt_for_an_answer_is_what_came_before_the_answer_in_training(tokenizer, config, name: str) -> None:
    configure_tokenizer(tokenizer, config, chat_template=name)
    whole = tokenizer.apply_chat_template(CHAT[:3], return_dict=True)["input_ids"]
    asked = tokenizer.apply_chat_template(CHAT[:2], add_generation_prompt=True, return_dict=True)["input_ids"]
    assert whole[: len(asked)] == asked


def test_chatml_writes_tools_calls_and_their_results(tokenizer) -> None:
    call = {"function": {"name": "sum", "arguments": {"a": 1}}}
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1?"},
        {"role": "assistant", "content": None, "tool_calls": [call, call]},
        {"role": "tool", "content": "1"},
    ]
    text = tokenizer.apply_chat_template(turns, tools=[{"name": "sum"}], tokenize=False)
    assert text.count("Be brief.") == 1
    assert '{"name": "sum"}' in text.split("<|im_end|>")[0]
    assert text.count('<tool_call>{"name": "sum", "arguments": {"a": 1}}</tool_call>') == 2
    assert text.endswith("<|im_start|>tool\n1<|im_end|>\n")
