"""What changes what is learned is read under every name that the field's tools write it by, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.data.encoding import encode_conversation
from luthier.data.formats.loss_switches import MASKS, NAMES, REFUSED, WEIGHTS
from luthier.data.sources.files import Files
from luthier.data.splits import GivenSplits
from luthier.errors import DataError
from tests.framework.data_tokens.tiny_tokens import byte_level

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
WORDS = st.text("abc dé", min_size=1, max_size=8).filter(str.strip)
TOKENIZER = byte_level()


def read(write, rows, **asked):
    source = Files(file=str(write(rows)), splits=GivenSplits(), **asked)
    return source, list(source)


def answers(*weights, key="weight", form="messages", values=None):
    """A conversation whose answers have a key of the given values."""
    turns = []
    for number, weight in enumerate(weights):
        turns.append(("user", f"Question {number}?", {}))
        turns.append(("assistant", f"Answer {number}.", {} if weight is None else {key: weight}))
    if form == "conversations":
        names = {"user": "human", "assistant": "gpt"}
        return {form: [{"from": names[role], "value": text, **more} for role, text, more in turns]}
    return {form: [{"role": role, "content": text, **more} for role, text, more in turns]}


def written(name: str, trained: bool):
    """What tools write by a name for a turn that is trained, or is not."""
    value = trained if name not in MASKS else not trained
    return st.sampled_from([value, int(value), str(value).lower()]) if name not in WEIGHTS else st.just(float(value))


def trained_weights(example):
    return encode_conversation(example, TOKENIZER).weights


@QUICK
@given(data=st.data(), name=st.sampled_from(NAMES), trained=st.lists(st.booleans(), min_size=1, max_size=4))
def test_a_turn_is_trained_or_not_under_every_name(write, data, name, trained):
    form = data.draw(st.sampled_from(["messages", "conversations"]))
    if not any(trained):
        trained = [*trained, True]
    values = [data.draw(written(name, each)) for each in trained]
    _, (found,) = read(write, [answers(*values, key=name, form=form)])
    _, (expected,) = read(write, [answers(*map(float, trained))])
    np.testing.assert_array_equal(trained_weights(found), trained_weights(expected))


@QUICK
@given(name=st.sampled_from(WEIGHTS), weight=st.floats(0.01, 10), row_weight=st.floats(0.01, 10))
def test_weights_of_turns_and_rows_multiply(write, name, weight, row_weight):
    _, (plain,) = read(write, [answers(None, None)])
    _, (found,) = read(write, [{**answers(None, weight, key=name), "weight": row_weight}])
    usual, weighed = trained_weights(plain), trained_weights(found)
    ratios = np.unique((weighed[usual > 0] / usual[usual > 0]).round(4))
    np.testing.assert_allclose(ratios, np.unique(np.float32([row_weight, weight * row_weight]).round(4)), atol=2e-4)
    assert not weighed[usual == 0].any()


def test_a_row_of_weight_0_is_left_out_and_counted(write):
    source, examples = read(write, [{**answers(None), "weight": 0}, {**answers(None, None), "sample_weight": "1"}])
    assert len(examples) == 1
    assert source.counts["left_out_by_weight"] == 1
    assert "sample_weight" not in examples[0]


@pytest.mark.parametrize("name", REFUSED)
def test_keys_that_choose_parts_of_a_turn_are_refused_by_name(write, name):
    with pytest.raises(DataError, match=f"'{name}', which"):
        read(write, [answers(None, [{"begin_offset": 0}], key=name)])


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"train": True, "weight": 0}, "contradict"),
        ({"masked": True, "loss": 1}, "contradict"),
        ({"loss": 0.83}, "true or false is expected"),
        ({"train": "maybe"}, "true or false is expected"),
        ({"loss_scale": -1}, "a number of 0 or more"),
        ({"weight": True}, "a number of 0 or more"),
        ({"trian": False}, "did you mean 'train'"),
        ({"images": ["a.png"]}, "has images; only text"),
    ],
)
def test_keys_with_no_one_meaning_are_refused(write, keys, said):
    with pytest.raises(DataError, match=said):
        read(write, [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", **keys}]}])


@pytest.mark.parametrize("keys", [{"train": True, "weight": 1}, {"masked": False}, {"loss": None}, {"weight": ""}])
def test_keys_that_agree_or_say_nothing_change_nothing(write, keys):
    _, (found,) = read(write, [answers(None)])
    turns = [answers(None)["messages"][0], {**answers(None)["messages"][1], **keys}]
    _, (same,) = read(write, [{"messages": turns}])
    np.testing.assert_array_equal(trained_weights(found), trained_weights(same))


@QUICK
@given(keys=st.dictionaries(st.from_regex(r"x_[a-z]{3,8}", fullmatch=True), WORDS, min_size=1, max_size=3))
def test_a_key_that_is_not_read_is_warned_of_by_name_with_its_place(write, keys):
    source, _ = read(
        write, [{"messages": [{"role": "user", "content": "a", **keys}, {"role": "assistant", "content": "b"}]}]
    )
    for key in keys:
        assert any(repr(key) in warning and "rows.jsonl:1" in warning for warning in source.warnings)


@pytest.mark.parametrize("form", ["prompt_completion", "messages", "alpaca", "sharegpt"])
@pytest.mark.parametrize(("name", "value"), [("liked", 1), ("kto_tag", False), ("label", True), ("label", "False")])
def test_a_vote_is_liked_under_every_name(write, form, name, value):
    row = {
        "prompt_completion": {"prompt": "a", "completion": "b"},
        "messages": answers(None),
        "alpaca": {"instruction": "a", "output": "b"},
        "sharegpt": answers(None, form="conversations"),
    }[form]
    _, (example,) = read(write, [{**row, name: value}])
    assert example["liked"] is (str(value).lower() in ("1", "true"))


def test_votes_that_contradict_each_other_are_refused_and_classes_are_no_votes(write):
    with pytest.raises(DataError, match="liked and kto_tag say different things"):
        read(write, [{"prompt": "a", "completion": "b", "liked": True, "kto_tag": False}])
    _, (example,) = read(write, [{"prompt": "a", "completion": "b", "label": "spam"}])
    assert "liked" not in example
    _, (example,) = read(write, [{"text": "a", "label": True}])
    assert "liked" not in example


@pytest.mark.parametrize(
    "columns",
    [
        {"completion_mask": [0, 1]},
        {"assistant_masks": [0, 1]},
        {"labels": [-100, 5]},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"enable_thinking": False},
        {"train_on_inputs": True},
        {"mask": "Assistant"},
    ],
)
def test_columns_of_other_tools_that_change_what_is_learned_are_refused_with_a_way_out(write, columns):
    (name,) = columns
    with pytest.raises(DataError, match=f"The column '{name}'") as caught:
        read(write, [{**answers(None), **columns}])
    assert f"data.rename={{{name}: {name}_unused}}" in caught.value.hint
    _, (example,) = read(write, [{**answers(None), **columns}], rename={name: f"{name}_unused"})
    assert f"{name}_unused" in example


@pytest.mark.parametrize(
    "columns", [{"labels": ["a", "b"]}, {"chat_template_kwargs": None}, {"mask": "User"}, {"loss_mask": []}]
)
def test_columns_of_those_names_that_change_nothing_are_kept(write, columns):
    _, (example,) = read(write, [{**answers(None), **columns}])
    assert columns.items() <= example.items()


def test_classes_of_a_text_are_no_labels_of_tokens(write):
    rows = [{"text": "a", "labels": [0, 3]}]
    assert next(iter(Files(file=str(write(rows)), format="text", splits=GivenSplits())))["labels"] == [0, 3]


def test_history_that_is_masked_is_not_trained(write):
    source, (example,) = read(write, [{**answers(None, None, None), "mask_history": True}])
    assert [turn.get("weight") for turn in example["messages"]] == [None, 0.0, None, 0.0, None, None]
    assert source.counts["earlier_answers_masked"] == 2


def test_a_weight_of_text_or_of_a_pair_is_not_ignored_in_silence(write):
    source, _ = read(write, [{"text": "Some text.", "weight": 2}])
    assert any("'weight'" in warning for warning in source.warnings)
    with pytest.raises(DataError, match="weighs a pair"):
        read(write, [{"prompt": "a", "chosen": "b", "rejected": "c", "weight": 2}])


def test_a_refusal_is_the_answer_of_a_turn_without_content(write):
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": None, "refusal": "I cannot."}]
    _, (example,) = read(write, [{"messages": turns}])
    assert example["messages"][-1]["content"] == "I cannot."
