"""Which tokens of a conversation are trained."""

from __future__ import annotations

import numpy as np
import pytest

from luthier.data.encoding import encode_continuation, encode_conversation, encode_prompt
from luthier.data.encoding.codec import Codec
from luthier.data.encoding.turns_apart import TurnsApart
from luthier.errors import DataError
from luthier.models.templates import template
from tests.framework.data_tokens.tiny_tokens import SMOLLM2, byte_level, metaspace, said, trained_text

LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '<|endoftext|>\n\n' }}"
    "{{ message['content'] | trim + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|endoftext|>\n\n' }}{% endif %}"
)
FORGETFUL = (  # as templates that leave out the reasoning of earlier turns
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{{ message['content'] if loop.last else message['content'].split('</think>')[-1] }}"
    "{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.mark.parametrize("source", [SMOLLM2, LLAMA3, template("chatml"), template("plain")])
def test_the_assistants_turns_and_their_ends_are_trained_and_nothing_else(source):
    tokenizer = byte_level(source)
    example = said("Hello", "I am well.", "Why?", "Because.")
    for _ in range(2):  # exactly first, then by what was learned from it
        sequence = encode_conversation(example, tokenizer)
        assert trained_text(sequence, tokenizer) == "I am well.<|im_end|>Because.<|im_end|>"


@pytest.mark.parametrize("source", [SMOLLM2, template("chatml"), template("plain")])
def test_the_ids_are_those_of_the_rendered_conversation(source):
    tokenizer = byte_level(source)
    example = said("Hello", "I am well.", "Why?", "Because.")
    for _ in range(2):
        ids = encode_conversation(example, tokenizer).ids.tolist()
        assert ids == tokenizer.apply_chat_template(example["messages"])["input_ids"]


@pytest.mark.parametrize("source", [SMOLLM2, LLAMA3, template("chatml"), template("plain")])
def test_the_tokens_before_an_answer_are_those_the_model_sees_when_it_is_asked(source):
    tokenizer = byte_level(source)
    for answer in ("fine", "\n\nfine", " fine", "\tfine", "é"):
        sequence = encode_conversation(said("Hello", answer), tokenizer)
        before = int(np.flatnonzero(sequence.weights)[0])
        assert sequence.ids[:before].tolist() == encode_prompt(said("Hello"), tokenizer).tolist()


def test_an_answer_that_begins_inside_a_token_is_cut_there_and_counted(tokenizer):
    sequence = encode_conversation(said("Hello", "\n\nfine"), tokenizer)
    assert trained_text(sequence, tokenizer) == "\n\nfine<|im_end|>"
    assert Codec.of(tokenizer).counts["moved_boundaries"] == 1


def test_a_tokenizer_that_cannot_be_cut_inside_a_token_says_so():
    source = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    with pytest.raises(DataError, match="middle of a token"):
        encode_conversation(said("Hello", "fine"), metaspace(source))


def test_a_tokenizer_that_prepends_spaces_is_masked_exactly():
    source = (
        "{% for m in messages %}{{ bos_token + m['role'] + '\n' + m['content'] + eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}{{ bos_token + 'assistant\n' }}{% endif %}"
    )
    tokenizer = metaspace(source)
    for _ in range(2):
        sequence = encode_conversation(said("Hello", "I am well.", "Why?", "Because."), tokenizer)
        assert trained_text(sequence, tokenizer).replace("</s>", "|") == "I am well.|Because.|"


def test_what_was_learned_gives_what_exact_encoding_gives_for_many_conversations(tokenizer):
    rng = np.random.default_rng(0)
    words = ["Hello", "\n", " ", "well", "assistant", "system\n", "4", "é", "user", "<", "|im_end|", ".", "\n\n"]
    for _ in range(200):
        turns = ["".join(rng.choice(words, size=rng.integers(1, 8))) for _ in range(2 * rng.integers(1, 4))]
        learned, fresh = encode_conversation(said(*turns), tokenizer), byte_level()
        exact = encode_conversation(said(*turns), fresh)
        assert learned.ids.tolist() == exact.ids.tolist()
        assert learned.weights.tolist() == exact.weights.tolist()


def test_a_messages_weight_takes_the_place_of_its_roles(tokenizer):
    example = said("Hello", "one", "Why?", "two")
    example["messages"][1]["weight"] = 0
    example["messages"][3]["weight"] = 0.5
    for _ in range(2):
        sequence = encode_conversation(example, tokenizer)
        assert trained_text(sequence, tokenizer) == "two<|im_end|>"
        assert set(sequence.weights.tolist()) == {0.0, 0.5}


@pytest.mark.parametrize("weight", ["high", -1, float("nan")])
def test_a_weight_that_is_none_is_refused(tokenizer, weight):
    example = said("Hello", "one")
    example["messages"][1]["weight"] = weight
    with pytest.raises(DataError, match="weight of a message"):
        encode_conversation(example, tokenizer)


def test_other_roles_can_be_trained(tokenizer):
    sequence = encode_conversation(said("Hello", "well"), tokenizer, roles=("user",))
    assert trained_text(sequence, tokenizer) == "Hello<|im_end|>"


def test_the_end_of_a_turn_can_be_left_out(tokenizer):
    assert trained_text(encode_conversation(said("Hello", "well"), tokenizer, end_of_turn=False), tokenizer) == "well"


def test_the_end_of_a_turn_is_trained_though_it_is_the_pad_token(tokenizer):
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    sequence = encode_conversation(said("Hello", "well"), tokenizer)
    assert sequence.ids[sequence.weights > 0].tolist()[-1] == tokenizer.eos_token_id


def test_tool_calls_are_trained_and_their_results_are_not(marked):
    call = {"type": "function", "function": {"name": "add", "arguments": {"a": 2}}}
    example = said("2 + 2?")
    example["messages"] += [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "4", "name": "add"},
        {"role": "assistant", "content": "It is 4."},
    ]
    example["tools"] = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
    for _ in range(2):
        text = trained_text(encode_conversation(example, marked), marked)
        called = '<tool_call>{"name": "add", "arguments": {"a": 2}}</tool_call><|im_end|>'
        assert text == called + "It is 4.<|im_end|>"


def test_an_answer_after_a_shared_prompt_alone_is_trained(tokenizer):
    example = said("Hello", "Hi.", "Why?", chosen=[{"role": "assistant", "content": "Because."}])
    sequence = encode_continuation(example, "chosen", tokenizer)
    assert trained_text(sequence, tokenizer) == "Because.<|im_end|>"


def test_a_template_that_changes_what_came_before_is_named():
    forgetful = byte_level(FORGETFUL)
    forgetful.name_or_path = "forgetful"
    assert encode_conversation(said("Hello", "well", "Why?", "so"), forgetful).weights.sum() > 0
    forgetting = said("Hello", "<think>hm</think>well", "Why?", "so")
    with pytest.raises(TurnsApart, match="chat template of forgetful") as caught:
        encode_conversation(forgetting, byte_level(FORGETFUL, name_or_path="forgetful"))
    assert "data.turns=each" in caught.value.hint
    assert caught.value.after == [2, 0]


def test_a_generation_prompt_that_opens_reasoning_is_context():
    thinking = SMOLLM2.replace("<|im_start|>assistant\n", "<|im_start|>assistant\n<think>\n")
    tokenizer = byte_level(thinking)
    sequence = encode_conversation(said("Hello", "well"), tokenizer)
    assert trained_text(sequence, tokenizer) == "well<|im_end|>"
    prompt = encode_prompt(said("Hello"), tokenizer).tolist()
    context = tokenizer.decode(sequence.ids[sequence.weights == 0].tolist())
    assert context.startswith(tokenizer.decode(prompt) + "\n</think>\n\n")


def test_a_generation_prompt_that_the_template_does_not_write_itself_is_an_error():
    noting = SMOLLM2.replace("<|im_start|>assistant\n", "<|im_start|>assistant\nNote: ")
    with pytest.raises(DataError, match="differently in its generation prompt"):
        encode_conversation(said("Hello", "well"), byte_level(noting))


def test_a_shape_of_conversation_whose_turns_are_framed_otherwise_is_never_trusted():
    noting = SMOLLM2.replace("{% endfor %}", "{{ message['note'] + '<|im_end|>' if message['note'] }}{% endfor %}")
    tokenizer = byte_level(noting)
    noted = said("Hello", "well")
    noted["messages"][1]["note"] = "fine"
    for example, expected in ((said("Hello", "well"), "well<|im_end|>"), (noted, "well<|im_end|>\nfine<|im_end|>")):
        for _ in range(2):
            assert trained_text(encode_conversation(example, tokenizer), tokenizer) == expected


def test_an_answer_that_is_ended_otherwise_for_what_it_says_is_found():
    loud = SMOLLM2.replace(
        "message['content'] + '<|im_end|>'",
        "message['content'] + ('<|endoftext|>' if message['content'].endswith('!') else '<|im_end|>')",
    )
    tokenizer = byte_level(loud)
    for answer, end in (("well.", "<|im_end|>"), ("well!", "<|endoftext|>")):
        sequence = encode_conversation(said("Hello", answer, "Why?", "so"), tokenizer)
        assert trained_text(sequence, tokenizer) == f"{answer}{end}so<|im_end|>"


def test_the_first_token_of_all_is_never_trained():
    bare = byte_level("{% for m in messages %}{{ m['content'] + eos_token }}{% endfor %}")
    sequence = encode_conversation(said("Hello"), bare, roles=("user",))
    assert sequence.weights[0] == 0
    assert sequence.weights[1:].all()


def test_reasoning_that_a_template_forgets_is_seen_even_when_conversations_of_this_shape_are_trusted(add_token):
    forgetful = byte_level(FORGETFUL)
    add_token(forgetful, "</think>")
    for _ in range(2):
        encode_conversation(said("Hello", "well", "Why?", "so"), forgetful)
    with pytest.raises(DataError):
        encode_conversation(said("Hello", "<think>hm</think>well", "Why?", "so"), forgetful)


def test_marks_from_which_nothing_comes_out_are_an_error():
    source = (
        "{% for m in messages %}{{ m['content'] }}"
        "{% if false %}{% generation %}{% endgeneration %}{% endif %}{% endfor %}"
    )
    with pytest.raises(DataError, match="none was rendered"):
        encode_conversation(said("Hello", "well"), byte_level(source))


def test_a_conversation_that_the_template_refuses_is_named_by_its_place():
    source = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(DataError, match="roles must alternate") as caught:
        encode_conversation(said("Hello", "well"), byte_level(source))
    assert caught.value.where == "f:1"


def test_without_a_template_the_setting_that_helps_is_named():
    with pytest.raises(DataError) as caught:
        encode_conversation(said("Hello", "well"), byte_level(None))
    assert "model.chat_template" in caught.value.hint
