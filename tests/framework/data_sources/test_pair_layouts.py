"""A preference pair is the same example in every layout that people export: the common beginning is its prompt."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.encoding import encode_continuation
from luthier.data.formats.detect import detect
from luthier.data.formats.preference import Preference
from luthier.errors import DataError
from tests.framework.data_tokens.tiny_tokens import byte_level, trained_text

WORDS = st.text("abcdé", min_size=1, max_size=6)
TOKENIZER = byte_level()


@st.composite
def exchanges(draw):
    """A question, and perhaps a tool call and its result, without the answer."""
    turns = [{"role": "user", "content": draw(WORDS)}]
    if draw(st.booleans()):
        call = {"type": "function", "function": {"name": "look", "arguments": {"for": draw(WORDS)}}}
        turns += [{"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "tool", "content": draw(WORDS)}]
    return turns


@st.composite
def pairs(draw):
    """A system turn or none, the turns of both conversations, and the turns of each answer after them."""
    system = [{"role": "system", "content": draw(WORDS)}] if draw(st.booleans()) else []
    shared: list[dict] = []
    for _ in range(draw(st.integers(0, 2))):
        shared += [*draw(exchanges()), {"role": "assistant", "content": draw(WORDS)}]
    shared += draw(exchanges())
    chosen, rejected = draw(st.lists(WORDS, min_size=2, max_size=2, unique=True))
    ends = [[{"role": "assistant", "content": content}] for content in (chosen, rejected)]
    for end in ends:
        if draw(st.booleans()):
            end += [{"role": "user", "content": draw(WORDS)}, {"role": "assistant", "content": draw(WORDS)}]
    for number, turn in enumerate(turn for turn in shared if turn["role"] == "user"):
        turn["content"] += f" {number}"  # where a question is asked twice, its place in a conversation is not known
    for end in ends:
        for turn in end[1:]:
            turn["content"] += "…"
    return system, shared, ends


def sharegpt(turns):
    names = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}
    return [
        {"from": names[turn["role"]], "value": turn["content"], **{k: v for k, v in turn.items() if k == "tool_calls"}}
        for turn in turns
    ]


def layouts(system, shared, ends):
    """Every layout that can hold the pair, by name."""
    whole, bare = ([*system, *shared], list(shared))
    last = max(number for number, turn in enumerate(shared) if turn["role"] == "user")
    found = {
        "answers after turns": (whole, *ends),
        "whole after turns": (whole, *([*whole, *end] for end in ends)),
        "whole after turns, without the system turn in the prompt": (bare, *([*whole, *end] for end in ends)),
        "whole after turns, without the system turn in the answers": (whole, *([*bare, *end] for end in ends)),
        "only the first turn as prompt": ([*system, shared[0]], *([*whole, *end] for end in ends)),
        "all but the last turns as prompt": ([*system, *shared[:last]], *([*shared[last:], *end] for end in ends)),
        "the last question again": (whole, *([*shared[last:], *end] for end in ends)),
    }
    rows = {name: dict(zip(("prompt", "chosen", "rejected"), parts, strict=True)) for name, parts in found.items()}
    rows["only the last question as prompt"] = {**rows["whole after turns"], "prompt": [shared[last]]}
    rows["no prompt"] = {"chosen": [*whole, *ends[0]], "rejected": [*whole, *ends[1]]}
    rows["beside messages"] = {"messages": [*whole, *ends[0][:1]], "chosen": ends[0], "rejected": ends[1]}
    rows["sharegpt"] = {"conversations": sharegpt(whole), "chosen": sharegpt(ends[0]), "rejected": sharegpt(ends[1])}
    rows["openai"] = {"input": {"messages": whole}, "preferred_output": ends[0], "non_preferred_output": ends[1]}
    rows["ms-swift, whole"] = {"messages": [*whole, *ends[0]], "rejected_messages": [*whole, *ends[1]]}
    if system:
        rows["system column"] = {**rows["answers after turns"], "prompt": bare, "system": system[0]["content"]}
    if len(shared) == 1:
        rows["prompt as text"] = {**rows["whole after turns"], "prompt": shared[0]["content"]}
        if not system and all(len(end) == 1 for end in ends):
            texts = [end[0]["content"] for end in ends]
            question = shared[0]["content"]
            rows["texts"] = {"prompt": question, "chosen": texts[0], "rejected": texts[1]}
            marks = [f"\n\nHuman: {question}\n\nAssistant: {text}" for text in texts]
            rows["marks"] = {"chosen": marks[0], "rejected": marks[1]}
            begun = {"prompt": f"\n\nHuman: {question}\n\nAssistant:"}
            rows["marks with a prompt"] = {**rows["marks"], **begun}
            rows["continued marks"] = {"chosen": f" {texts[0]}", "rejected": f" {texts[1]}", **begun}
    if len(ends[0]) == 1 and len(ends[1]) == 1:
        rows["ms-swift"] = {"messages": [*whole, *ends[0]], "rejected_response": ends[1][0]["content"]}
    return rows


@settings(max_examples=150, deadline=None)
@given(pair=pairs())
def test_the_example_is_the_same_from_every_layout(pair):
    system, shared, ends = pair
    for name, row in layouts(system, shared, ends).items():
        assert detect([row]).name == "preference", name
        made = Preference()(row, Counter())
        assert made == {"messages": [*system, *shared], "chosen": ends[0], "rejected": ends[1]}, name


@settings(max_examples=50, deadline=None)
@given(pair=pairs())
def test_only_what_differs_is_trained(pair):
    _, shared, ends = pair
    made = Preference()(
        {"prompt": shared[0]["content"], "chosen": shared + ends[0], "rejected": shared + ends[1]}, Counter()
    )
    made = {**made, "messages": [turn for turn in made["messages"] if "tool_calls" not in turn]}
    for key, end in zip(("chosen", "rejected"), ends, strict=True):
        said = "".join(turn["content"] + "<|im_end|>" for turn in end if turn["role"] == "assistant")
        assert trained_text(encode_continuation(made, key, TOKENIZER), TOKENIZER) == said


U, A, B = (
    {"role": role, "content": text} for role, text in (("user", "Why?"), ("assistant", "So."), ("assistant", "No."))
)
MORE = {"role": "user", "content": "And?"}


def test_an_answer_to_which_further_turns_follow_is_prompt_where_both_have_it():
    other = {"role": "user", "content": "Or?"}
    made = Preference()({"chosen": [U, A, MORE, A], "rejected": [U, A, other, B]}, Counter())
    assert made == {"messages": [U, A], "chosen": [MORE, A], "rejected": [other, B]}
    assert trained_text(encode_continuation(made, "chosen", TOKENIZER), TOKENIZER) == "So.<|im_end|>"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"chosen": [U, A], "rejected": [U, A, MORE, B]}, "The chosen conversation is the beginning of the rejected"),
        ({"prompt": "Who?", "chosen": [U, A], "rejected": [U, B]}, "neither begins with the prompt nor continues"),
        ({"prompt": [U, A], "chosen": [B], "rejected": [A]}, "ends with an assistant turn"),
        (
            {"system": "Be brief.", "chosen": [{"role": "system", "content": "Be long."}, U, A], "rejected": [U, B]},
            "different system turns",
        ),
        ({"messages": [U], "rejected_response": "No."}, "no chosen answer"),
    ],
)
def test_pairs_whose_parts_do_not_fit_are_refused(row, said):
    with pytest.raises(DataError, match=said):
        Preference()(row, Counter())


def test_instruction_input_and_history_are_prompt():
    row = {
        "instruction": "Sum up.",
        "input": "A text.",
        "history": [["Hello?", "Hi."]],
        "chosen": "So.",
        "rejected": "No.",
    }
    made = Preference()(row, Counter())
    contents = [turn["content"] for turn in made["messages"]]
    assert contents == ["Hello?", "Hi.", "Sum up.\n\nA text."]


def test_tools_of_openais_input_are_kept():
    tool = {"type": "function", "function": {"name": "look"}}
    asked = {"messages": [U], "tools": [tool], "parallel_tool_calls": True}
    made = Preference()({"input": asked, "preferred_output": [A], "non_preferred_output": [B]}, Counter())
    assert made["tools"] == [tool]


def test_an_answer_of_its_own_in_messages_stands_once():
    example = {"messages": [U, A], "chosen": [A], "rejected": [B], "where": "f:1"}
    sequence = encode_continuation(example, "rejected", TOKENIZER)
    assert TOKENIZER.decode(sequence.ids.tolist()).count("<|im_start|>assistant") == 1


def test_a_label_at_the_beginning_of_a_text_is_no_mark():
    row = {"prompt": "Human: what is that?", "chosen": "Assistant: a word.", "rejected": "Human: all of us."}
    made = Preference()(row, Counter())
    assert made["messages"][0]["content"] == row["prompt"]
    assert [made[key][0]["content"] for key in ("chosen", "rejected")] == [row["chosen"], row["rejected"]]
