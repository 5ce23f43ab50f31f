"""Each format turns its rows into examples, and is recognised by them."""

from __future__ import annotations

from collections import Counter

import pytest

from luthier.data.formats.alpaca import Alpaca
from luthier.data.formats.bedrock_conversation import BedrockConversation
from luthier.data.formats.bedrock_prompt import BedrockPrompt
from luthier.data.formats.canonical import Canonical
from luthier.data.formats.classification import Classification
from luthier.data.formats.detect import detect
from luthier.data.formats.messages import Messages
from luthier.data.formats.naming import FORMATS, named
from luthier.data.formats.preference import Preference
from luthier.data.formats.prompt_completion import PromptCompletion
from luthier.data.formats.rated import Rated
from luthier.data.formats.sharegpt import ShareGPT
from luthier.errors import DataError, RecipeError


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


U, A = turn("user", "Why?"), turn("assistant", "So.")
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Cremona"}}, "id": "c1"}


def example(form, row):
    return form(row, Counter())


def test_messages_keep_tool_calls_weights_and_further_columns():
    written = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Cremona"}'}}
    row = {
        "messages": [
            turn("system", "Be brief."),
            turn("user", "Rain?"),
            turn("assistant", None, tool_calls=[written], weight=0, name=None),
            turn("tool", "no", tool_call_id="c1"),
            turn("assistant", "No rain.", weight=1, reasoning="The tool says no."),
        ],
        "tools": [WEATHER],
        "topic": "weather",
        "parallel_tool_calls": False,
    }
    made = example(Messages(), row)
    assert made["topic"] == "weather"
    assert made["tools"] == [WEATHER]
    assert made["messages"][2] == turn("assistant", "", tool_calls=[CALL], weight=0.0)
    assert made["messages"][3] == turn("tool", "no", tool_call_id="c1")
    assert made["messages"][4] == turn("assistant", "No rain.", weight=1.0, reasoning_content="The tool says no.")


def test_tools_may_be_json_text_or_bare_functions():
    bare = {"name": "weather", "parameters": {"type": "object"}}
    for given in ('[{"name": "weather", "parameters": {"type": "object"}}]', [bare], [WEATHER]):
        assert example(Messages(), {"messages": [U, A], "tools": given})["tools"] == [WEATHER]
    with pytest.raises(DataError, match="names no function"):
        example(Messages(), {"messages": [U, A], "tools": [{}]})


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ([{"function": {"arguments": "{}"}}], "names no function"),
        ([{"function": {"name": "f", "arguments": "{"}}], "not JSON"),
        ([{"function": {"name": "f", "arguments": "[1]"}}], "not an object"),
        ("weather", "tool calls that are text"),
    ],
)
def test_tool_calls_that_cannot_be_rendered_are_refused(calls, said):
    with pytest.raises(DataError, match=said):
        example(Messages(), {"messages": [U, turn("assistant", None, tool_calls=calls)]})


def test_a_tool_turn_must_answer_a_call_that_was_made():
    made = turn("assistant", None, tool_calls=[CALL])
    with pytest.raises(DataError, match="answers no tool call"):
        example(Messages(), {"messages": [U, made, turn("tool", "no", tool_call_id="c2"), A]})


def test_an_older_function_call_becomes_a_tool_call():
    row = {
        "messages": [
            U,
            turn("assistant", None, function_call={"name": "f", "arguments": "{}"}),
            turn("function", "x"),
            A,
        ]
    }
    counts = Counter()
    made = Messages()(row, counts)
    assert made["messages"][1]["tool_calls"][0]["function"] == {"name": "f", "arguments": {}}
    assert made["messages"][2]["role"] == "tool"
    assert counts["function_call_converted"] == counts["role_function"] == 1


def test_prompts_without_answers_are_taken_only_when_asked_for():
    row = {"messages": [U], "reference_answer": "So."}
    with pytest.raises(DataError, match="no assistant turn"):
        example(Messages(), row)
    assert example(Messages(answered=False), row) == {"messages": [U], "reference_answer": "So."}


def test_sharegpt_speakers_become_roles():
    row = {
        "system": "Be brief.",
        "tools": '[{"name": "f"}]',
        "conversations": [
            {"from": "human", "value": "Rain?"},
            {"from": "function_call", "value": '{"name": "f", "arguments": {"a": 1}}'},
            {"from": "observation", "value": "no"},
            {"from": "gpt", "value": "No.", "weight": 1},
        ],
    }
    made = example(ShareGPT(), row)
    assert [message["role"] for message in made["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert made["messages"][2]["tool_calls"][0]["function"] == {"name": "f", "arguments": {"a": 1}}
    assert made["messages"][4] == turn("assistant", "No.", weight=1.0)
    with pytest.raises(DataError, match="'narrator'"):
        example(ShareGPT(), {"conversations": [{"from": "narrator", "value": "Once"}]})


def test_alpaca_joins_instruction_and_input_and_reads_history():
    row = {"instruction": "Add.", "input": "1 + 1", "output": "2", "history": [["Hello.", "Hi."]], "system": "You add."}
    made = example(Alpaca(), row)
    assert [message["content"] for message in made["messages"]] == ["You add.", "Hello.", "Hi.", "Add.\n\n1 + 1", "2"]
    assert example(Alpaca(), {"instruction": "Sing.", "input": "", "output": "La"})["messages"][0]["content"] == "Sing."
    with pytest.raises(DataError, match="`output` is null"):
        example(Alpaca(), {"instruction": "Sing.", "output": None})


def test_a_column_that_means_something_else_here_is_left_out_and_counted():
    counts = Counter()
    made = Alpaca()({"instruction": "a", "output": "b", "text": "a b"}, counts)
    assert "text" not in made
    assert counts["column_left_out_text"] == 1


def test_prompt_and_completion_are_texts_or_lists_of_turns():
    assert example(PromptCompletion(), {"prompt": "Why?", "completion": "So."})["messages"] == [U, A]
    assert example(PromptCompletion(), {"prompt": [U], "completion": [A]})["messages"] == [U, A]
    system = example(PromptCompletion(), {"system": "Be brief.", "prompt": "Why?", "completion": "So."})
    assert system["messages"][0] == turn("system", "Be brief.")


B = turn("assistant", "No.")
PAIRS = {
    "texts": {"prompt": "Why?", "chosen": "So.", "rejected": "No."},
    "question": {"question": "Why?", "chosen": "So.", "rejected": "No."},
    "turns": {"prompt": [U], "chosen": [A], "rejected": [B]},
    "whole": {"prompt": "Why?", "chosen": [U, A], "rejected": [U, B]},
    "implicit": {"chosen": [U, A], "rejected": [U, B]},
    "marks": {"chosen": "\n\nHuman: Why?\n\nAssistant: So.", "rejected": "\n\nHuman: Why?\n\nAssistant: No."},
    "openai": {"input": {"messages": [U]}, "preferred_output": [A], "non_preferred_output": [B]},
    "sharegpt": {
        "conversations": [{"from": "human", "value": "Why?"}],
        "chosen": {"from": "gpt", "value": "So."},
        "rejected": {"from": "gpt", "value": "No."},
    },
}


@pytest.mark.parametrize("layout", PAIRS)
def test_every_layout_of_preference_pairs_gives_the_same_example(layout):
    made = example(Preference(), {**PAIRS[layout], "score": 3})
    assert made == {"messages": [U], "chosen": [A], "rejected": [B], "score": 3}
    assert detect([PAIRS[layout]]).name == "preference"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "Why?", "chosen": "So.", "rejected": "So. "}, "the same"),
        ({"prompt": "Why?", "chosen": "So.", "rejected": ""}, "an empty text"),
        ({"chosen": [U, A], "rejected": [turn("user", "Who?"), B]}, "no common prefix"),
        ({"prompt": "Why?", "chosen": [turn("user", "x")], "rejected": [B]}, "neither begins with the prompt nor"),
        ({"prompt": "Why?", "chosen": "So."}, "`chosen` and `rejected`"),
    ],
)
def test_pairs_without_a_preference_are_refused(row, said):
    with pytest.raises(DataError, match=said):
        example(Preference(), row)


def test_a_long_conversation_of_pairs_is_parted_at_the_last_answer():
    turns = [U, A, turn("user", "And?")]
    made = example(Preference(), {"chosen": [*turns, A], "rejected": [*turns, B]})
    assert made["messages"] == turns
    assert (made["chosen"], made["rejected"]) == ([A], [B])


BEDROCK = {
    "schemaVersion": "bedrock-conversation-2024",
    "system": [{"text": "Be brief."}],
    "messages": [
        {"role": "user", "content": [{"text": "Rain"}, {"text": "?"}]},
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "Ask."}}},
                {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"city": "Cremona"}}},
            ],
        },
        {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"json": {"rain": False}}]}}]},
        {"role": "assistant", "content": [{"text": "No rain."}]},
    ],
    "toolConfig": {
        "tools": [{"toolSpec": {"name": "weather", "description": "d", "inputSchema": {"json": {"type": "object"}}}}]
    },
}


def test_bedrock_conversations_keep_reasoning_tools_and_results():
    made = example(BedrockConversation(), BEDROCK)
    assert made["messages"] == [
        turn("system", "Be brief."),
        turn("user", "Rain?"),
        turn("assistant", "", tool_calls=[CALL], reasoning_content="Ask."),
        turn("tool", '{"rain": false}', tool_call_id="c1"),
        turn("assistant", "No rain."),
    ]
    function = {"name": "weather", "description": "d", "parameters": {"type": "object"}}
    assert made["tools"] == [{"type": "function", "function": function}]
    assert "schemaVersion" not in made


def test_what_a_user_says_beside_a_tool_result_of_bedrock_follows_it():
    answer = {"toolResult": {"toolUseId": "c1", "content": [{"text": "no"}]}}
    turns = [
        *BEDROCK["messages"][:2],
        {"role": "user", "content": [{"text": "And now?"}, answer]},
        BEDROCK["messages"][3],
    ]
    made = example(BedrockConversation(), {**BEDROCK, "messages": turns})
    assert made["messages"][3:5] == [turn("tool", "no", tool_call_id="c1"), turn("user", "And now?")]


@pytest.mark.parametrize("media", ["image", "video", "document", "audio"])
def test_bedrock_media_are_refused_by_their_kind_and_place(media):
    content = [{"text": "See"}, {media: {"format": "png", "source": {}}}]
    row = {**BEDROCK, "messages": [{"role": "user", "content": content}]}
    with pytest.raises(DataError, match=rf"messages\[0\].content\[1\]` is a block of the kind {media}"):
        example(BedrockConversation(), row)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schemaVersion": "bedrock-conversation-2023"}, "bedrock-conversation-2024"),
        ({"messages": "hello"}, "a list is expected"),
        ({"messages": [{"role": "tool", "content": []}]}, "'tool'"),
        ({"messages": [{"role": "user", "content": [{"guardContent": 1}]}]}, "guardContent"),
        ({"messages": [{"role": "user", "content": [{"text": 1}]}]}, "without `text`"),
        ({"messages": [{"role": "user", "content": [{"toolUse": "weather"}]}]}, "toolUse` is text"),
        ({"messages": [{"role": "user", "content": [{"toolResult": None}]}]}, "toolResult` is null"),
        ({"messages": [{"role": "user", "content": [{"reasoningContent": []}]}]}, "reasoningContent` is a list"),
        ({"toolConfig": [1]}, "`toolConfig` is a list"),
    ],
)
def test_bedrock_rows_that_bedrock_would_refuse_are_refused(change, said):
    with pytest.raises(DataError, match=said):
        example(BedrockConversation(), {**BEDROCK, **change})


def test_strings_that_bedrock_reserves_are_counted():
    counts = Counter()
    BedrockPrompt()({"prompt": "User: hello", "completion": "Fine [EOS]"}, counts)
    assert counts["reserved_strings"] == 2
    with pytest.raises(DataError, match="'id'"):
        example(BedrockPrompt(), {"prompt": "a", "completion": "b", "id": 1})


def test_classes_become_the_assistants_answer():
    form = Classification(text="query", label="intent", instruction="Intent of: {text}?")
    made = example(form, {"query": "Where is my card?", "intent": " card ", "id": 3})
    assert made["messages"] == [turn("user", "Intent of: Where is my card??"), turn("assistant", "card")]
    assert (made["text"], made["label"], made["id"]) == ("Where is my card?", "card", 3)
    plain = example(Classification(instruction="Class?"), {"text": "a", "label": True})
    assert plain["messages"][0]["content"] == "Class?\n\na"
    assert plain["label"] == "true"


def test_numbers_as_classes_take_their_names():
    form = Classification(names=["bad", "good"])
    assert example(form, {"text": "a", "label": 1})["label"] == "good"
    assert example(form, {"text": "a", "label": "0"})["label"] == "bad"
    assert example(Classification(), {"text": "a", "label": 4})["label"] == "4"
    with pytest.raises(DataError, match="names are given for 0 to 1"):
        example(form, {"text": "a", "label": 2})
    with pytest.raises(DataError, match="null"):
        example(form, {"text": "a", "label": None})
    with pytest.raises(DataError) as caught:
        example(form, {"text": "a", "label": 0.5})
    assert "format=rated" in caught.value.hint


def test_ratings_are_cut_into_named_intervals():
    form = Rated(rating="stars", intervals={"bad": [None, 2], "good": [4, 5], "best": [5, None]})
    labels = {
        stars: (example(form, {"text": "a", "stars": stars}) or {}).get("label") for stars in (-9, 1.9, 2, 4, 4.9, 5)
    }
    assert labels == {-9: "bad", 1.9: "bad", 2: None, 4: "good", 4.9: "good", 5: "best"}
    counts = Counter()
    assert form({"text": "a", "stars": "3"}, counts) is None
    assert counts["between_intervals"] == 1
    assert example(form, {"text": "a", "stars": "4.5"})["stars"] == 4.5
    for stars in ("many", None, True, float("nan")):
        with pytest.raises(DataError, match="stars"):
            example(form, {"text": "a", "stars": stars})


@pytest.mark.parametrize(
    ("intervals", "said"),
    [
        ({"a": [0, 2], "b": [1, 3]}, "overlap"),
        ({"a": [2, 1], "b": [3, 4]}, "no number"),
        ({"a": [1], "b": [3, 4]}, "expected"),
        ({"a": [0, 1]}, "two intervals"),
    ],
)
def test_intervals_that_make_no_sense_are_refused(intervals, said):
    with pytest.raises(RecipeError, match=said):
        Rated(intervals=intervals).settle([{"text": "a", "rating": 1.0}])


def test_a_canonical_row_serves_several_methods_at_once():
    row = {"messages": [U, A], "chosen": [A], "rejected": [B], "text": "t", "label": "l", "split": "test"}
    assert example(Canonical(), row) == row
    with pytest.raises(DataError, match="only one of"):
        example(Canonical(), {"messages": [U, A], "chosen": [A]})


ROWS = {
    "messages": {"messages": [U, A]},
    "sharegpt": {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    "alpaca": {"instruction": "a", "input": "", "output": "b"},
    "prompt_completion": {"prompt": "a", "completion": "b"},
    "text": {"text": "a", "url": "b"},
    "classification": {"text": "a", "label": "b"},
    "preference": PAIRS["texts"],
    "bedrock_conversation": BEDROCK,
    "bedrock_rft": {"messages": [U], "reference_answer": "b"},
}


@pytest.mark.parametrize("name", ROWS)
def test_a_format_is_recognised_by_its_rows_and_says_why(name):
    found = detect([ROWS[name]] * 3)
    assert (found.name, found.confidence) == (name, 1.0)
    assert found.reason.startswith(f"It is {name}, because in every row ")
    assert found.reason.endswith(".")


@pytest.mark.parametrize("one", ROWS)
@pytest.mark.parametrize("other", ROWS)
def test_a_row_of_another_format_is_not_taken_for_one_of_this(one, other):
    if one != other and (one, other) not in (("messages", "bedrock_conversation"), ("messages", "bedrock_rft")):
        assert not named(one).recognises(ROWS[other])


def test_the_format_of_most_rows_wins_with_its_share():
    found = detect([ROWS["alpaca"], ROWS["messages"], ROWS["messages"], ROWS["messages"]])
    assert (found.name, found.confidence) == ("messages", 0.75)
    assert "in 3 of the first 4 rows" in found.reason


@pytest.mark.parametrize(
    ("row", "name", "rename"),
    [
        ({"question": "a", "answer": "b"}, "prompt_completion", {"question": "prompt", "answer": "completion"}),
        ({"text": "a", "category": "b"}, "classification", {"category": "label"}),
        ({"Text": "a"}, "text", {"Text": "text"}),
        (
            {"dialogue": "a", "summary": "b", "id": 1},
            "prompt_completion",
            {"dialogue": "prompt", "summary": "completion"},
        ),
        ({"dialog": [U, A]}, "messages", {"dialog": "messages"}),
        ({"conversation": [{"from": "human", "value": "a"}]}, "sharegpt", {"conversation": "conversations"}),
        ({"prompt": "a", "better": "b", "worse": "c"}, "preference", {"better": "chosen", "worse": "rejected"}),
        ({"a": 1, "b": 2}, "", {}),
    ],
)
def test_columns_under_other_names_get_a_renaming_that_works(row, name, rename):
    found = detect([row])
    assert (found.name, found.nearest, found.rename) == ("", name, rename)
    if rename:
        renamed = {rename.get(column, column): value for column, value in row.items()}
        assert named(name).recognises(renamed)


def test_a_format_is_found_by_name_or_the_nearest_is_said():
    assert {named(name).name for name in FORMATS} == set(FORMATS)
    with pytest.raises(RecipeError) as caught:
        named("sharegtp")
    assert "sharegpt" in caught.value.hint
