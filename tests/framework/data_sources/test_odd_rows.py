"""Whatever stands in a row, it becomes an example or is refused in a sentence."""

from __future__ import annotations

import copy
import json
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from luthier.data.examples import example_text, prompt_key, text_key
from luthier.data.formats.auto import Auto
from luthier.data.formats.messages import Messages
from luthier.data.formats.sharegpt import ShareGPT
from luthier.errors import DataError, LuthierError
from luthier.records.lock import RunLock
from luthier.training import checkpoint_files

ASKED, ANSWERED = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
CALL = {"id": "1", "function": {"name": "f", "arguments": "{}"}}
SOUND = [
    {"messages": [{"role": "system", "content": "s"}, ASKED, {**ANSWERED, "weight": 1}], "tools": [{"name": "f"}]},
    {"messages": [ASKED, {"role": "assistant", "content": None, "tool_calls": [CALL]},
                  {"role": "tool", "content": "3", "tool_call_id": "1"}, ANSWERED]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}, ANSWERED], "rejected_response": "x"},
    {"conversations": [{"from": "human", "value": "a"}, {"from": "function_call", "value": '{"name": "f"}'},
                       {"from": "observation", "value": "3"}, {"from": "gpt", "value": "b"}], "system": "x"},
    {"instruction": "a", "input": "b", "output": "c", "history": [["q", "a"]], "system": "s"},
    {"prompt": "a", "completion": "b"},
    {"prompt": [ASKED], "completion": [ANSWERED]},
    {"prompt": "a", "chosen": "b", "rejected": "c"},
    {"chosen": [ASKED, ANSWERED], "rejected": [ASKED, {**ANSWERED, "content": "c"}]},
    {"prompt": "a", "completion": "b", "label": True},
    {"text": "hello", "label": "x"},
    {"schemaVersion": "bedrock-conversation-2024", "system": [{"text": "s"}],
     "messages": [{"role": "user", "content": [{"text": "a"}]}, {"role": "assistant", "content": [{"text": "b"}]}]},
]  # fmt: skip
ODD = [
    None, "", " ", "x", "{}", "[1]", "\ud800", "[" * 100_000, -1, 0, 1, 2.5, float("nan"), 10**400, True, False,
    [], {}, [1], ["a"], [[]], [{}], [None], {"a": 1}, [{"role": ["user"], "content": "x"}],
]  # fmt: skip
KEYS = ["role", "content", "id", "name", "weight", "loss", "label", "tool_call_id", "tool_calls", "function_call",
        "reasoning_content", "refusal", "train", "split", "masked"]  # fmt: skip


def places(value, path=()):
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(item, (*path, key))


def odd_row(data: st.DataObject) -> dict:
    row = copy.deepcopy(data.draw(st.sampled_from(SOUND)))
    for _ in range(data.draw(st.integers(1, 2))):
        if not (found := list(places(row))):
            break
        *above, last = data.draw(st.sampled_from(found))
        at = row
        for key in above:
            at = at[key]
        if isinstance(at, dict) and data.draw(st.booleans()):
            last = data.draw(st.sampled_from([last, *KEYS]))
        at[last] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
    return row


def check(examples: int) -> None:
    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def becomes_an_example_or_is_refused(data: st.DataObject) -> None:
        row = odd_row(data)
        for form in (Auto(), Messages(), ShareGPT()):
            with suppress(DataError):
                example = form(row, Counter())
                if example is not None:
                    json.dumps([example_text(example), str(text_key(example)), str(prompt_key(example))])

    becomes_an_example_or_is_refused()


def test_an_odd_row_becomes_an_example_or_is_refused():
    check(100)


@pytest.mark.exhaustive
def test_two_thousand_odd_rows_become_examples_or_are_refused():
    check(2000)


@pytest.mark.parametrize("key", ["role", "name"])
def test_a_role_or_name_that_is_a_list_is_named(key):
    turn = {"role": "user", "content": "a", key: ["user"]}
    with pytest.raises(DataError, match=rf"The {key} of `messages\[0\]` is a list of 1"):
        Messages()({"messages": [turn, ANSWERED]}, Counter())


def test_what_an_error_quotes_is_shortened():
    assert len(str(LuthierError("x" * 10**6))) < 4000


def test_a_manifest_of_brackets_is_a_checkpoint_that_is_not_intact(tmp_path):
    place = checkpoint_files.write(tmp_path, 3, lambda folder: (folder / "a").touch())
    checkpoint_files.write(tmp_path, 2, lambda folder: (folder / "a").touch())
    (place / checkpoint_files.MANIFEST).write_text("[" * 200_000)
    found = checkpoint_files.newest(tmp_path)
    assert found is not None
    assert checkpoint_files.step_of(found) == 2


def test_a_lock_of_brackets_is_stale(tmp_path):
    (tmp_path / "lock").write_text("[" * 200_000)
    with RunLock(tmp_path / "lock"):
        assert "pid" in (tmp_path / "lock").read_text()
