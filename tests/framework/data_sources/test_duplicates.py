"""Two examples are the same only if all that is learned of them is the same."""

from __future__ import annotations

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.data.sources.files import Files
from luthier.data.sources.mixture import Mixture
from luthier.data.splits import GivenSplits

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
WORDS = st.text("abc é", min_size=1, max_size=8).filter(str.strip)
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def chat(question="Why?", answer="So.", **more):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer, **more}]}


def read(write, rows, **asked):
    source = Files(file=str(write(rows)), splits=GivenSplits(), **asked)
    return source, list(source)


DIFFERENCES = {
    "the vote": [{**chat(), "kto_tag": True}, {**chat(), "kto_tag": False}],
    "the label": [
        {"prompt": "a", "completion": "b", "label": True},
        {"prompt": "a", "completion": "b", "label": False},
    ],
    "the class": [{"text": "a", "label": "calm"}, {"text": "a", "label": "cross"}],
    "the score": [{**chat(), "score": 1}, {**chat(), "score": 2}],
    "the margin": [{"prompt": "a", "chosen": "b", "rejected": "c", "margin": each} for each in (1, 2)],
    "the weight of a turn": [chat(weight=1), chat(weight=0.5)],
    "the weight of the row": [chat(), {**chat(), "weight": 2}],
    "the reasoning": [chat(reasoning_content="One."), chat(reasoning_content="Two.")],
    "the tools": [chat(), {**chat(), "tools": [TOOL]}],
    "the white space": [chat(answer="if a:\n    b"), chat(answer="if a:\n        b")],
    "the reference answer": [{**chat(), "answer": "4"}, {**chat(), "answer": "5"}],
    "the tests": [{**chat(), "tests": ["assert f(1)"]}, {**chat(), "tests": ["assert f(2)"]}],
    "the name of a speaker": [chat(name="Ann"), chat(name="Bob")],
}


@pytest.mark.parametrize("what", DIFFERENCES)
def test_examples_that_differ_in_what_is_learned_both_stay(write, what):
    rows = DIFFERENCES[what]
    source, examples = read(write, [*rows, copy.deepcopy(rows[0])])
    assert len(examples) == 2
    assert source.counts["duplicates"] == 1


@QUICK
@given(
    first=st.tuples(WORDS, WORDS, st.sampled_from([None, True, False])),
    second=st.tuples(WORDS, WORDS, st.sampled_from([None, True, False])),
    column=st.sampled_from(
        ["id", "uuid", "created_at", "url", "source", "split_id", "__index_level_0__", "Unnamed: 0"]
    ),
)
def test_rows_are_duplicates_if_and_only_if_the_same_is_learned(write, first, second, column):
    rows = [
        {**chat(question, answer), **({} if vote is None else {"liked": vote}), column: number}
        for number, (question, answer, vote) in enumerate((first, second, first))
    ]
    _, examples = read(write, rows)
    assert len(examples) == len({first, second})


def test_what_is_held_out_is_not_trained_on_in_other_white_space(write):
    rows = [{**chat("a  b"), "split": "test"}, {**chat("a b"), "split": "train"}, {**chat("c"), "split": "train"}]
    source, examples = read(write, rows)
    assert [example["split"] for example in examples] == ["test", "train"]
    assert source.counts["overlap"] == 1


def test_opposite_votes_of_two_sources_both_stay(write):
    liked, disliked = (
        Files(file=str(write([{**chat(), "liked": vote}], name=f"{vote}.jsonl")), splits=GivenSplits())
        for vote in (True, False)
    )
    assert {example["liked"] for example in Mixture(sources={"a": liked, "b": disliked})} == {True, False}
