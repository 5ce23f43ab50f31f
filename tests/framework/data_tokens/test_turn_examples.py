"""Conversations whose turns are apart become an example for each: in the data, its counts, and what is measured."""

from __future__ import annotations

from collections import Counter

import pytest

from luthier.contracts.batch import Row
from luthier.data.encoding import encode_conversation
from luthier.data.module import Data
from luthier.data.prompts import ChatPrompt
from luthier.data.reasoning import with_reasoning
from luthier.data.turn_choice import TURNS
from luthier.data.turn_examples import turn_example
from luthier.errors import DataError
from tests.framework.data_tokens.real_templates import assistant, tokenizer, user
from tests.framework.data_tokens.tiny_tokens import Examples


def conversation(number: int, turns: int, **more: object) -> dict:
    messages = []
    for turn in range(turns):
        messages += [user(f"Question {number}.{turn}?"), assistant(f"Answer {number}.{turn}.", reasoning_content="Hm.")]
    return {"messages": messages, **more}


def data(name: str = "qwen3", **more: object) -> Data:
    examples = [conversation(number, number % 3 + 1, **more) for number in range(12)]
    examples += [conversation(number, 2, split="validation", **more) for number in range(12, 15)]
    encode = {"encode": lambda example, using: Row((encode_conversation(example, using),))}["encode"]
    return Data(Examples(examples), ChatPrompt(), encode, tokenizer(name), 0, length=2048, size=4, micro=2)


def test_a_conversation_stays_one_example_of_its_split_and_its_turns_are_counted():
    made = data()
    made.setup("fit")
    counts = made.report()
    assert (counts["turn_examples"], counts["turns_apart"]) == (4 * 2 + 4 * 3, 8)
    assert counts["rows"] == 4 + 4 * 2 + 4 * 3
    assert (len(made.examples("train")), len(made.examples("validation"))) == (12, 3)
    assert (counts["validation rows"], counts["validation turn_examples"]) == (6, 6)
    (note,) = [warning for warning in made.warnings if warning.startswith("8 train examples have turns before which")]
    assert "data.turns=each" in note


def test_every_row_is_of_an_example_of_its_split_and_names_its_turn():
    made = data()
    rows = Counter()
    for batch in made.train_dataloader():
        for number, after in zip(batch.examples, batch.turns or (-1,) * len(batch.examples), strict=True):
            example = turn_example(made.examples("train")[number], after)
            rows[number] += 1
            assert example["messages"][-1]["role"] == "assistant"
            assert after == -1 or [one["weight"] for one in example["messages"][:-1]] == [0.0] * (
                len(example["messages"]) - 1
            )
    assert rows == Counter({number: number % 3 + 1 for number in range(12)})


def test_each_makes_examples_of_turns_that_the_template_keeps_together():
    plain = [with_reasoning(conversation(n, 2, split="train", **{TURNS: "each"}), "drop", Counter()) for n in range(3)]
    each = Data(Examples(plain), ChatPrompt(), _encode, tokenizer("qwen2_5"), 0, length=2048)
    each.setup("fit")
    counts = each.report()
    assert (counts["rows"], counts["turn_examples"]) == (6, 6)
    assert "turns_apart" not in counts
    assert not [warning for warning in each.warnings if "data.turns" in warning]


def _encode(example, using):
    return Row((encode_conversation(example, using),))


def test_whole_is_refused_where_the_template_renders_turns_apart():
    with pytest.raises(DataError, match="no single example") as caught:
        data(**{TURNS: "whole"}).setup("fit")
    assert "data.turns=each" in caught.value.hint
    assert caught.value.where == "f.jsonl:2"


def test_last_trains_the_last_turn_alone():
    made = data(**{TURNS: "last"})
    made.setup("fit")
    counts = made.report()
    assert counts["rows"] == 12
    assert not counts.get("turn_examples")
    tokens = made.settings.tokenizer.decode([token.id for token in made.token_ledger(2).tokens if token.weight])
    assert "Answer 2.2." in tokens
    assert "Answer 2.1." not in tokens


def test_the_ledger_shows_each_turn_and_whose_its_tokens_are():
    made = data()
    first, second = made.token_ledgers(1)
    for ledger, answers in ((first, ["Answer 1.0."]), (second, ["Answer 1.0.", "Answer 1.1."])):
        said = {}
        for entry in ledger.tokens:
            said.setdefault((entry.message, entry.role), []).append(entry.text)
        texts = {owner: "".join(pieces) for owner, pieces in said.items()}
        for at, answer in enumerate(answers):
            assert answer in texts[2 * at + 1, "assistant"]
            assert f"Question 1.{at}?" in texts[2 * at, "user"]
            assert "Answer" not in texts[2 * at, "user"]
        assert not ledger.errors
    assert [finding.name for finding in second.findings if finding.name == "left_out"] == ["left_out"]


@pytest.mark.parametrize(
    ("reasoning", "content", "kept"),
    [("field", "Fine.", "Hm."), ("inline", "<think>\nHm.\n</think>\n\nFine.", None), ("drop", "Fine.", None)],
)
def test_reasoning_stays_or_is_written_into_the_content_or_left_out(reasoning, content, kept):
    counts = Counter()
    made = with_reasoning({"messages": [user("Hi"), assistant("Fine.", reasoning_content="Hm.")]}, reasoning, counts)
    assert made["messages"][1].get("reasoning_content") == kept
    assert made["messages"][1]["content"] == content
    assert +counts == ({} if reasoning == "field" else {f"reasoning_{reasoning}": 1})


@pytest.mark.parametrize("content", ["<think>\nHm.\n</think>\n\nFine.", "Hm.\n</think>\nFine.", "Fine."])
def test_reasoning_in_the_content_is_left_out_as_well(content):
    made = with_reasoning({"messages": [user("Hi"), assistant(content)]}, "drop", Counter())
    assert made["messages"][1]["content"] == "Fine."
