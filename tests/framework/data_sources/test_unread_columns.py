"""A column that belongs to the conversation by its name is read, or named in a warning."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.data.formats.conversation import MEDIA
from luthier.data.sources.files import Files
from luthier.data.splits import GivenSplits
from luthier.data.unread_columns import TEXTS
from luthier.errors import DataError

TURNS = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}]
SAID = [{"from": "human", "value": "Who?"}, {"from": "gpt", "value": "Me."}]
ROWS = {
    "messages": {"messages": TURNS},
    "sharegpt": {"conversations": SAID},
    "prompt_completion": {"prompt": "Who?", "completion": "Me."},
    "alpaca": {"instruction": "Who?", "output": "Me."},
    "preference": {"prompt": "Who?", "chosen": "Me.", "rejected": "You."},
}
VALUES = {
    "history": [["Before?", "MARK"]],
    "functions": [{"name": "MARK", "parameters": {}}],
    "documents": [{"title": "", "text": "MARK"}],
    **{name: ["MARK.png"] for name in MEDIA},
}
FEW = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


def read(write, *rows):
    source = Files(file=str(write(list(rows))), splits=GivenSplits())
    return source, list(source)


@FEW
@given(form=st.sampled_from(sorted(ROWS)), name=st.sampled_from([*TEXTS, *sorted(MEDIA)]))
def test_what_a_column_of_that_name_says_is_in_the_conversation_or_the_column_in_a_warning(write, form, name):
    if name in ROWS[form]:
        return
    source, (example,) = read(write, {**ROWS[form], name: VALUES.get(name, "MARK")})
    learned = json.dumps([example.get(part) for part in ("messages", "chosen", "rejected", "tools")])
    warned = [one for one in source.warnings if repr(name) in one]
    assert ("MARK" in learned) != bool(warned), (form, name, source.warnings)


@pytest.mark.parametrize("more", [{"prompt": "Who?"}, {"context": ""}, {"history": []}, {"images": None}, {"id": "x7"}])
def test_a_column_that_repeats_a_turn_or_is_empty_is_no_warning(write, more):
    source, _ = read(write, {"messages": TURNS, **more})
    assert source.warnings == []


def test_a_system_turn_that_stands_in_a_column_too_is_said_once(write):
    system = {"role": "system", "content": "Be kind."}
    _, (example,) = read(write, {"system": "Be kind.", "messages": [system, *TURNS]})
    assert [turn["role"] for turn in example["messages"]] == ["system", "user", "assistant"]


@pytest.mark.parametrize("row", [{"messages": [TURNS[0], {"role": "assistant", "content": ""}]},
                                 {"conversations": [SAID[0], {"from": "gpt", "value": ""}]}])  # fmt: skip
def test_a_faulty_turn_is_named_by_its_place_in_the_list_also_behind_a_system_column(write, row):
    with pytest.raises(DataError, match=r"\[1\]"):
        read(write, {"system": "Be kind.", **row})


def test_a_refusal_beside_an_answer_is_named(write):
    source, _ = read(write, {"messages": [TURNS[0], {**TURNS[1], "refusal": "I cannot."}]})
    assert any("refusal" in one for one in source.warnings)


@pytest.mark.parametrize("row", [{"instruction": "Who?", "context": "A house.", "response": "Me."},
                                 {"question": "Who?", "context": "A house.", "answer": "Me."}])  # fmt: skip
def test_the_renaming_that_is_proposed_leaves_no_part_of_the_question_out(write, row):
    with pytest.raises(DataError) as refused:
        read(write, row)
    assert "context: input" in str(refused.value.hint)
