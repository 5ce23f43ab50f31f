"""Answers are generated with tools, end where a call ends, and are told from the reasoning before them."""

from __future__ import annotations

import numpy as np
import pytest

from luthier.contracts.conversation import ToolConversation
from luthier.contracts.sampling import Answer, Sampling
from luthier.data.encoding import encode_prompt
from luthier.data.examples import conversation_of, example_of
from luthier.data.prompts import ChatPrompt
from luthier.evaluation.questions import questions
from luthier.inference.generation.reasoning import read_reasoning
from luthier.inference.generation.stops import end_of_call, end_of_turn
from tests.framework.data_tokens.real_templates import ADD, assistant, tokenizer, user


def test_a_conversation_keeps_its_tools():
    example = {"messages": [user("2?")], "tools": [ADD]}
    conversation = conversation_of(example)
    assert isinstance(conversation, ToolConversation)
    assert example_of(conversation) == example
    assert example_of(example) == example
    assert example_of([user("2?")]) == {"messages": [user("2?")]}
    (question,) = questions([{**example, "messages": [user("2?"), assistant("Two.")]}], ChatPrompt())
    assert question.conversation.tools == [ADD]
    assert question.about("3?").tools == [ADD]
    made = tokenizer("qwen2_5")
    assert "Add two numbers." in made.decode(encode_prompt(example_of(question.conversation), made).tolist())


@pytest.mark.parametrize(
    ("name", "turn", "call"),
    [
        ("qwen3", "<|im_end|>", "<|im_end|>"),
        ("llama3_1", "<|eot_id|>", "<|eot_id|>"),
        ("gpt_oss", "<|return|>", "<|call|>"),
        ("gemma4", "<turn|>", "<|tool_response>"),
        ("mistral_nemo", "</s>", "</s>"),
        ("deepseek_r1", "<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
        ("phi4", "<|im_end|>", None),
    ],
)
def test_an_answer_ends_where_the_template_ends_a_turn_or_a_call(name, turn, call):
    made = tokenizer(name)
    assert end_of_turn(made) == made.convert_tokens_to_ids(turn)
    assert end_of_call(made) == (call and made.convert_tokens_to_ids(call))


@pytest.mark.parametrize(
    ("name", "text", "reasoning", "said"),
    [
        ("qwen3", "<think>\nHm.\n</think>\n\nFine.<|im_end|>", "Hm.", "Fine."),
        ("qwen3", "Fine.<|im_end|>", None, None),
        ("qwen3", "<think>\nHm, and", "Hm, and", ""),
        ("deepseek_r1", "Hm.\n</think>\n\nFine.<｜end▁of▁sentence｜>", "Hm.", "Fine."),
        ("deepseek_r1", "Hm, and", "Hm, and", ""),
        ("qwen3_5", "Hm.\n</think>\n\nFine.<|im_end|>", "Hm.", "Fine."),
        ("gemma4", "<|channel>thought\nHm.\n<channel|>Fine.<turn|>", "Hm.", "Fine."),
        ("ministral_3", "[THINK]Hm.[/THINK]Fine.</s>", "Hm.", "Fine."),
        (
            "gpt_oss",
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Fine.<|return|>",
            "Hm.",
            "Fine.",
        ),
        ("llama3_1", "Fine.<|eot_id|>", None, None),
    ],
)
def test_reasoning_is_told_from_the_answer(name, text, reasoning, said):
    made = tokenizer(name)
    ids = made(text, add_special_tokens=False)["input_ids"]
    answer = Answer(list(ids), made.decode(ids, skip_special_tokens=True), finish="stop")
    prompt = encode_prompt({"messages": [user("Hello?")]}, made)
    read_reasoning([answer], [prompt], made, Sampling())
    assert (answer.reasoning, answer.said) == (reasoning, said)
    assert answer.spoken == ("Fine." if said is None else said)


def test_a_stop_text_ends_what_is_said_as_well():
    made = tokenizer("qwen3")
    ids = made("<think>\nHm.\n</think>\n\nFine. End.", add_special_tokens=False)["input_ids"]
    answer = Answer(list(ids), made.decode(ids))
    read_reasoning([answer], [np.zeros(1, np.int32)], made, Sampling(stop=(" End",)))
    assert answer.spoken == "Fine."
