"""Templates of models in use: what is context, what is trained, and which turns are examples of their own."""

from __future__ import annotations

import pytest

from luthier.contracts.batch import Row
from luthier.data.encoding import encode_continuation, encode_conversation, encode_for_scoring, encode_prompt
from luthier.data.encoding.codec import Codec
from luthier.data.turn_examples import encoded_turns
from luthier.errors import DataError
from luthier.models.template_settings import apply_template_settings
from tests.framework.data_tokens import real_templates
from tests.framework.data_tokens.real_templates import (
    ADD,
    NAMES,
    assistant,
    call,
    context,
    rows,
    tokenizer,
    trained,
    user,
)

FRESH = [user("Hello?"), assistant("Fine.")]
THOUGHT = [user("Hello?"), assistant("Fine.", reasoning_content="Hmm, a greeting.")]
TWICE = [*THOUGHT, user("Why?"), assistant("Because.", reasoning_content="Let me see.")]
ID = "call_abcdefghijklmnopqrstuvwx"
CALLED = [
    user("2 kg?"),
    assistant(None, tool_calls=[call("add", {"a": 2, "unit": 'kg "net"\nor so'}, ID)]),
    {"role": "tool", "content": "It is 4.", "tool_call_id": ID},
    assistant("Four."),
]


def example(messages: list[dict], **more: object) -> dict:
    return {"messages": messages, "where": "f:1", **more}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("hermes_3", "deepseek_r1_marked")])
def test_the_context_of_an_answer_is_the_prompt_that_it_is_generated_from(name):
    made = tokenizer(name)
    (turn,) = rows(example(FRESH), made)
    asked = made.decode(encode_prompt(example(FRESH[:1]), made).tolist())
    own = context(turn, made)
    assert own.startswith(asked)
    added = own[len(asked) :].replace("think", "").replace("<|END_THINKING|>", "")
    assert added.strip("<>/\n") == ""  # an empty block of reasoning at most
    (answer,) = trained(turn, made)
    openings = {
        "gpt_oss": "<|channel|>final<|message|>", "cohere2_moe": "<|START_TEXT|>", "command_r7b": "<|START_RESPONSE|>",
    }  # fmt: skip
    assert answer.strip().removeprefix(openings.get(name, "")).startswith("Fine.")


@pytest.mark.parametrize(
    ("name", "before", "answer"),
    [
        ("qwen3", "<|im_start|>assistant\n<think>\n\n</think>\n\n", "Fine.<|im_end|>"),
        ("qwen3_5", "<|im_start|>assistant\n<think>\n\n</think>\n\n", "Fine.<|im_end|>"),
        ("qwen3_marked", "<|im_start|>assistant\n<think>\n\n</think>\n\n", "Fine.<|im_end|>"),
        ("deepseek_r1", "<｜Assistant｜><think>\n\n</think>\n\n", "Fine.<｜end▁of▁sentence｜>"),
        ("deepseek_v3_1", "<｜Assistant｜><think></think>", "Fine.<｜end▁of▁sentence｜>"),
        ("glm4_5", "<|assistant|>\n<think></think>\n", "Fine."),
        ("nemotron_nano_2", "Assistant\n<think>\n\n</think>\n\n", "Fine.\n<SPECIAL_12>"),
        ("gpt_oss", "<|start|>assistant", "<|channel|>final<|message|>Fine.<|return|>"),
        ("gemma4_it", "<|turn>model\n<|channel>thought\n<channel|>", "Fine.<turn|>"),
        ("deepseek_v3_2", "<｜Assistant｜><think></think>", "Fine.<｜end▁of▁sentence｜>"),
        ("glm4_7", "<|assistant|><think></think>", "Fine."),
    ],
)
def test_no_empty_block_of_reasoning_is_trained(name, before, answer):
    made = tokenizer(name)
    for _ in range(2):  # exactly first, then by what was learned from it
        (turn,) = rows(example(FRESH), made)
        assert context(turn, made).endswith(before)
        assert trained(turn, made) == [answer]


@pytest.mark.parametrize(
    ("messages", "answers"),
    [(FRESH, ["Fine."]), ([*FRESH, user("Why?"), assistant("Because.")], ["Fine.", "Because."])],
)
def test_a_prompt_that_a_template_writes_after_a_whole_conversation_is_not_trained(messages, answers):
    made = tokenizer("command_r7b")
    for _ in range(2):
        found = [text for turn in rows(example(messages), made) for text in trained(turn, made)]
        assert found == [f"<|START_RESPONSE|>{each}<|END_RESPONSE|><|END_OF_TURN_TOKEN|>" for each in answers]


def test_an_end_of_sequence_after_a_turn_that_has_ended_is_not_trained():
    made = tokenizer("phi3_5")
    for _ in range(2):
        (turn,) = rows(example([*FRESH, user("Why?"), assistant("Because.")]), made)
        assert trained(turn, made) == ["Fine.<|end|>", "Because.<|end|>"]


@pytest.mark.parametrize(
    ("name", "setting"),
    [("gemma4_it", {}), ("command_r7b", {}), ("deepseek_v3_2", {}), ("glm4_7", {"enable_thinking": False})],
)
@pytest.mark.parametrize("answer", [THOUGHT[1], assistant("<think>\nHmm.\n</think>\n\nFine.")])
def test_reasoning_after_a_prompt_that_ends_it_is_refused_by_that_sentence(name, setting, answer):
    made = tokenizer(name)
    apply_template_settings(made, setting)
    with pytest.raises(DataError, match="ends the reasoning before the answer, and message 2 has reasoning"):
        rows(example([user("Hello?"), answer]), made)


def test_reasoning_in_the_content_is_not_trained_after_a_block_that_a_template_closes():
    made = tokenizer("deepseek_v3_2")
    apply_template_settings(made, {"thinking": True})
    (turn,) = rows(example([user("Hello?"), assistant("<think>\nHmm.\n</think>\n\nFine.")]), made)
    assert context(turn, made).endswith("<｜Assistant｜><think>")
    assert trained(turn, made) == ["\nHmm.\n</think>\n\nFine.<｜end▁of▁sentence｜>"]


def test_a_header_inside_the_marks_of_a_template_is_context():
    made = tokenizer("deepseek_r1_marked")
    for _ in range(2):
        (turn,) = rows(example(FRESH), made)
        assert context(turn, made).endswith("<｜Assistant｜>")
        assert trained(turn, made) == ["Fine.<｜end▁of▁sentence｜>"]


def test_tags_of_reasoning_may_be_special_tokens(monkeypatch):
    monkeypatch.setattr(real_templates, "PLAIN", set())
    made = tokenizer("qwen3")
    assert made.added_tokens_decoder[made.convert_tokens_to_ids("<think>")].special
    inline = [user("Hello <think>?"), assistant("<think>\nHmm, a <|im_end|>.\n</think>\n\nFine.")]
    (turn,) = rows(example(inline), made)
    (answer,) = trained(turn, made)
    assert answer == "<think>\nHmm, a <|im_end|>.\n</think>\n\nFine.<|im_end|>"
    ids = turn.row.sequences[0].ids.tolist()
    assert ids.count(made.convert_tokens_to_ids("<think>")) == 1  # not that of the user
    assert ids.count(made.convert_tokens_to_ids("<|im_end|>")) == 2


def test_an_empty_block_that_the_data_has_is_trained():
    made = tokenizer("qwen3")
    (turn,) = rows(example([user("Hello?"), assistant("<think>\n\n</think>\n\nFine.")]), made)
    assert trained(turn, made) == ["<think>\n\n</think>\n\nFine.<|im_end|>"]


@pytest.mark.parametrize(
    ("name", "before", "answer"),
    [
        ("qwen3", "<|im_start|>assistant\n", "<think>\nHmm, a greeting.\n</think>\n\nFine.<|im_end|>"),
        ("qwen3_5", "<|im_start|>assistant\n<think>\n", "Hmm, a greeting.\n</think>\n\nFine.<|im_end|>"),
        ("deepseek_r1", "<｜Assistant｜><think>\n", "Hmm, a greeting.\n</think>\n\nFine.<｜end▁of▁sentence｜>"),
        ("nemotron_nano_2", "Assistant\n<think>\n", "Hmm, a greeting.\n</think>\n\nFine.\n<SPECIAL_12>"),
        ("glm4_5", "<|assistant|>", "\n<think>Hmm, a greeting.</think>\nFine."),
        ("lfm2_5", "<|im_start|>assistant\n", "<think>Hmm, a greeting.</think>Fine.<|im_end|>"),
        ("gemma4", "<|turn>model\n", "<|channel>thought\nHmm, a greeting.\n<channel|>Fine.<turn|>"),
        (
            "cohere2_moe",
            "<|CHATBOT_TOKEN|><|START_THINKING|>",
            "Hmm, a greeting.<|END_THINKING|><|START_TEXT|>Fine.<|END_TEXT|><|END_OF_TURN_TOKEN|>",
        ),
        ("ministral_3", "[/INST]", "[THINK]Hmm, a greeting.[/THINK]Fine.</s>"),
        (
            "gpt_oss",
            "<|start|>assistant",
            "<|channel|>analysis<|message|>Hmm, a greeting.<|end|><|start|>assistant<|channel|>final<|message|>Fine."
            "<|return|>",
        ),
    ],
)
def test_reasoning_is_trained_after_what_the_prompt_opens(name, before, answer):
    made = tokenizer(name)
    (turn,) = rows(example(THOUGHT), made)
    assert context(turn, made).endswith(before)
    assert trained(turn, made) == [answer]


@pytest.mark.parametrize("name", ["qwen3", "qwen3_5", "deepseek_r1", "deepseek_v3_1", "nemotron_nano_2", "qwq"])
def test_reasoning_may_stand_in_the_content(name):
    made = tokenizer(name)
    if name in ("qwq", "deepseek_v3_1"):
        apply_template_settings(made, {"enable_thinking": True})
    inline = [user("Hello?"), assistant("<think>\nHmm, a greeting.\n</think>\n\nFine.")]
    (turn,) = rows(example(inline), made)
    (answer,) = trained(turn, made)
    assert (context(turn, made) + answer).count("<think>") == 1
    assert "Hmm, a greeting.\n</think>\n\nFine." in answer


@pytest.mark.parametrize("name", ["qwen3", "qwen3_5", "deepseek_r1", "glm4_5", "gemma4", "gpt_oss", "lfm2_5"])
def test_where_earlier_reasoning_is_forgotten_each_turn_is_an_example(name):
    made = tokenizer(name)
    first, second = rows(example(TWICE), made)
    assert (first.after, second.after) == (2, 0)
    assert "Hmm, a greeting." in trained(first, made)[0]
    assert "Let me see." in trained(second, made)[0]
    assert "Hmm, a greeting." not in context(second, made)
    assert "Fine." in context(second, made)
    for turn, upto in ((first, 1), (second, 3)):
        asked = made.decode(encode_prompt(example(TWICE[:upto]), made).tolist())
        assert context(turn, made) == asked
    assert Codec.of(made).counts["left_out: reasoning of earlier turns"] >= 1


@pytest.mark.parametrize("name", ["qwen2_5", "llama3_1", "gemma3", "mistral_nemo", "granite_4", "phi4", "phi3_5"])
def test_where_nothing_is_forgotten_a_conversation_is_one_example(name):
    made = tokenizer(name)
    (turn,) = rows(example([*FRESH, user("Why?"), assistant("Because.")]), made)
    assert turn.after == -1
    assert [
        text.strip().startswith(said) for text, said in zip(trained(turn, made), ("Fine.", "Because."), strict=True)
    ]


def test_turns_of_weight_0_are_no_examples():
    messages = [dict(message) for message in TWICE]
    messages[1]["weight"] = 0
    made = tokenizer("qwen3")
    (turn,) = rows(example(messages), made)
    assert turn.after == -1
    assert trained(turn, made) == ["<think>\nLet me see.\n</think>\n\nBecause.<|im_end|>"]


def test_an_earlier_turn_alone_is_cut_where_it_ends():
    messages = [dict(message) for message in TWICE]
    messages[3]["weight"] = 0
    made = tokenizer("qwen3")
    (turn,) = rows(example(messages), made)
    assert turn.after == 2
    assert trained(turn, made) == ["<think>\nHmm, a greeting.\n</think>\n\nFine.<|im_end|>"]


def test_a_system_prompt_that_moves_with_the_last_question_is_where_it_is_when_the_model_is_asked():
    made = tokenizer("mistral_nemo")
    system = {"role": "system", "content": "Be brief."}
    first, second = rows(example([system, *FRESH, user("Why?"), assistant("Because.")]), made)
    assert context(first, made) == "<s>[INST]Be brief.\n\nHello?[/INST]"
    assert context(second, made) == "<s>[INST]Hello?[/INST]Fine.</s>[INST]Be brief.\n\nWhy?[/INST]"
    assert [trained(turn, made) for turn in (first, second)] == [["Fine.</s>"], ["Because.</s>"]]


ARGUMENTS = '{"a": 2, "unit": "kg \\"net\\"\\nor so"}'
PARAMETERS = '<parameter=a>\n2\n</parameter>\n<parameter=unit>\nkg "net"\nor so\n</parameter>\n'
CALLS = {
    "qwen2_5": '<tool_call>\n{"name": "add", "arguments": ' + ARGUMENTS + "}\n</tool_call><|im_end|>",
    "llama3_1": '{"name": "add", "parameters": ' + ARGUMENTS + "}<|eot_id|>",
    "gpt_oss": " to=functions.add<|channel|>commentary json<|message|>" + ARGUMENTS + "<|call|>",
    "deepseek_v3": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n"
    + ARGUMENTS
    + "\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>",
    "gemma4": '<|tool_call>call:add{a:2,unit:<|"|>kg "net"\nor so<|"|>}<tool_call|><|tool_response>',
    "qwen3_coder": "<tool_call>\n<function=add>\n" + PARAMETERS + "</function>\n</tool_call><|im_end|>",
    "granite_4": '<tool_call>\n{"name": "add", "arguments": ' + ARGUMENTS + "}\n</tool_call><|end_of_text|>",
}


@pytest.mark.parametrize(("name", "expected"), CALLS.items())
def test_tool_calls_are_trained_as_the_template_has_them(name, expected):
    made = tokenizer(name)
    turns = rows(example(CALLED, tools=[ADD]), made)
    texts = [text for turn in turns for text in trained(turn, made)]
    assert texts[0] == expected
    assert "Four." in texts[-1]
    assert "It is 4." not in "".join(texts)


@pytest.mark.parametrize("name", ["mistral_nemo", "mistral_v0_3"])
def test_ids_of_calls_are_made_as_short_as_a_template_wants_them(name):
    made = tokenizer(name)
    (turn,) = rows(example(CALLED, tools=[ADD]), made)
    text = made.decode(turn.row.sequences[0].ids.tolist())
    short = text.split('"id": "')[1].split('"')[0]
    assert len(short) == 9
    assert f'"call_id": "{short}"' in text
    assert Codec.of(made).counts["left_out: tool call ids"] == 1


@pytest.mark.parametrize("name", ["gemma3", "phi4", "smollm3", "granite_3_3"])
def test_calls_that_a_template_does_not_render_are_refused(name):
    with pytest.raises(DataError, match=r"tool calls of message 2|must alternate") as caught:
        rows(example(CALLED[:2], tools=[ADD]), tokenizer(name))
    assert "chatml" in caught.value.hint


@pytest.mark.parametrize("name", ["llama3_1", "mistral_nemo", "hermes_3"])
def test_words_beside_a_call_that_a_template_drops_are_refused(name):
    messages = [user("2 kg?"), assistant("Let me look.", tool_calls=[call("add", {"a": 2}, ID)])]
    with pytest.raises(DataError, match="content of message 2"):
        rows(example(messages, tools=[ADD]), tokenizer(name))


def test_a_second_call_that_a_template_drops_is_refused():
    messages = [user("2 kg?"), assistant(None, tool_calls=[call("add", {"a": 2}), call("mul", {"b": 3})])]
    with pytest.raises(DataError, match="tool calls of message 2"):
        rows(example(messages, tools=[ADD]), tokenizer("gpt_oss"))


@pytest.mark.parametrize("name", ["llama3_1", "qwen2_5", "gemma3", "phi4", "granite_3_3", "mistral_nemo", "smollm3"])
def test_reasoning_that_a_template_does_not_know_is_refused_and_may_be_written_into_the_text(name):
    made = tokenizer(name)
    with pytest.raises(DataError, match="reasoning of message 2") as caught:
        rows(example(THOUGHT), made)
    assert "data.reasoning=inline" in caught.value.hint


def test_a_setting_that_switches_reasoning_on_is_named_where_it_helps():
    with pytest.raises(DataError) as caught:
        rows(example(THOUGHT), tokenizer("deepseek_v3_1"))
    assert "Set 'model.template_settings={enable_thinking: true}'" in caught.value.hint
    made = tokenizer("deepseek_v3_1")
    apply_template_settings(made, {"enable_thinking": True})
    (turn,) = rows(example(THOUGHT), made)
    assert context(turn, made).endswith("<｜Assistant｜><think>")
    assert trained(turn, made) == ["Hmm, a greeting.</think>Fine.<｜end▁of▁sentence｜>"]


def test_reasoning_after_a_prompt_that_switches_it_off_is_refused():
    made = tokenizer("qwen3")
    apply_template_settings(made, {"enable_thinking": False})
    (turn,) = rows(example(FRESH), made)
    assert context(turn, made).endswith("<think>\n\n</think>\n\n")
    with pytest.raises(DataError, match="ends the reasoning before the answer") as caught:
        rows(example(THOUGHT), made)
    assert "{enable_thinking: true}" in caught.value.hint


def test_the_answers_of_a_pair_may_follow_turns_that_the_template_forgets():
    made = tokenizer("qwen3")
    pair = example([*TWICE[:3]], chosen=[TWICE[3]], rejected=[assistant("No.")])
    sequence = encode_continuation(pair, "chosen", made)
    text = made.decode(sequence.ids[sequence.weights > 0].tolist())
    assert text == "<think>\nLet me see.\n</think>\n\nBecause.<|im_end|>"
    several = example(THOUGHT[:1], chosen=TWICE[1:], rejected=[assistant("No.")])
    with pytest.raises(DataError, match="several answers"):
        encode_continuation(several, "chosen", made)


def test_a_whole_conversation_is_scored_though_its_turns_are_apart():
    made = tokenizer("qwen3")
    sequence = encode_for_scoring(example(TWICE), made)
    text = made.decode(sequence.ids.tolist())
    assert "Fine." in text
    assert "Let me see." in text


@pytest.mark.parametrize("name", ["qwen2_5", "llama3_1", "deepseek_v3", "mistral_nemo", "gemma4", "gpt_oss"])
def test_a_model_is_asked_after_calls_as_clients_send_them(name):
    """Arguments are text, content is null, and nothing was normalised."""
    made = tokenizer(name)
    sent = [user("2 kg?"), assistant(None, tool_calls=[call("add", '{"a": 2, "unit": "kg"}', ID)]), CALLED[2]]
    text = made.decode(encode_prompt(example(sent, tools=[ADD]), made).tolist())
    assert '\\"unit\\"' not in text
    assert "None" not in text
    for given in ("add", "unit", "kg", "It is 4."):
        assert given in text
    assert text == made.decode(encode_prompt(example([*CALLED[:1], *_called(), CALLED[2]], tools=[ADD]), made).tolist())


def _called() -> list[dict]:
    return [assistant("", tool_calls=[call("add", {"a": 2, "unit": "kg"}, ID)])]


def test_the_users_turns_can_be_trained_though_answers_are_forgotten():
    made = tokenizer("qwen3")
    messages = [*FRESH, user("Why?"), assistant("Because.")]
    first, second = encoded_turns(
        example(messages), lambda one, using: Row((encode_conversation(one, using, roles=("user",)),)), made
    )
    assert [trained(turn, made) for turn in (first, second)] == [["Hello?<|im_end|>"], ["Why?<|im_end|>"]]
