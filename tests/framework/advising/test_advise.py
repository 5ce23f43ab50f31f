"""`luthier advise` names installed recipes that what is known allows, cheapest first, and what the others lack."""

from __future__ import annotations

import json
import shlex

import pytest

pytestmark = pytest.mark.usefixtures("here")


def names(found, key="compare"):
    return [one["recipe"] for one in found[key]]


def test_with_many_labels_training_is_compared_with_asking(luthier):
    found = luthier("advise", "labels=2000", "memory=32", "--json").record
    assert {"zero_shot", "lora_sft", "full_sft"} <= {*names(found), *names(found, "then")}
    assert names(found)[0] == "zero_shot"
    assert all(one["reason"] for one in found["compare"])


def test_what_there_is_too_little_for_is_named_with_what_it_lacks(luthier):
    found = luthier("advise", "labels=60", "memory=32", "--json").record
    (full,) = [one for one in found["not_yet"] if one["recipe"] == "full_sft"]
    assert full["needs"] == ["1000 examples with the wanted answer, and there are 60"]
    assert "lora_sft" in names(found)


def test_a_data_file_says_what_is_in_it_and_the_command_composes(luthier, write):
    rows = [{"text": f"it is number {n}", "label": "odd" if n % 2 else "even"} for n in range(80)]
    write("mine.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    found = luthier("advise", "mine.jsonl", "--json").record
    assert found["known"]["labels"] == 80
    words = shlex.split(found["run"])
    assert words[:2] == ["luthier", "compare"]
    assert {"data=jsonl", "data.file=mine.jsonl", "data/format=classification"} <= {*words}
    plan = [word for word in words[2:] if not word.startswith(("recipe=", "seeds="))]
    assert luthier("recipe=lora_sft", *plan, "--cfg", "job").code == 0


def test_columns_of_other_names_are_renamed_in_the_command_that_it_prints(luthier, write):
    rows = [{"question": f"what is {n}?", "answer": f"it is {n}"} for n in range(80)]
    write("mine.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    words = shlex.split(luthier("advise", "mine.jsonl", "--json").record["run"])
    (rename,) = [word for word in words if word.startswith("data.rename=")]
    plan = [word for word in words[2:] if not word.startswith(("recipe=", "seeds="))]
    planned = luthier("plan", "recipe=lora_sft", "debug=tiny", *plan)
    assert planned.code == 0, planned.err
    assert rename == "data.rename={question: prompt, answer: completion}"


def test_pairs_are_feedback_and_documents_are_documents(luthier, write):
    row = {"prompt": "a", "chosen": "b", "rejected": "c"}
    write("pairs.jsonl", (json.dumps(row) + "\n") * 3)
    write("handbook/one.md", "# One\n")
    write("handbook/two.txt", "two")
    found = luthier("advise", "pairs.jsonl", "handbook", "--json").record["known"]
    assert (found["feedback"], found["documents"], found["text"]) == (3, 2, 9)


def test_what_is_said_wins_over_what_was_read(luthier, write):
    write("mine.jsonl", '{"prompt": "a", "completion": "b"}\n' * 3)
    assert luthier("advise", "mine.jsonl", "labels=500", "--json").record["known"]["labels"] == 500


def test_advice_comes_with_a_folder_of_recipes_and_only_on_recipes_that_are_there(luthier, write):
    write("recipes/advice/mine.yaml", "# It is mine.\nrecipe: mine\nneeds: {documents: 2}\norder: 1\n")
    assert "mine" not in luthier("advise", "documents=3").out
    write("recipes/recipe/mine.yaml", "# @package _global_\n# Mine.   luthier recipe=mine\nseed: 1\n")
    assert names(luthier("advise", "documents=3", "--json").record) == ["zero_shot", "mine", "rag"]
    assert "mine" in names(luthier("advise", "documents=1", "--json").record, "not_yet")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("needs: {}", "names no recipe"),
        ("recipe: x\nneeds: {lables: 3}", "Did you mean labels?"),
        ("recipe: x\nneed: {}", "Did you mean needs?"),
        ("recipe: x\nneeds: {labels: many}", "no number"),
        ("recipe: x\norder: first", "order is no number"),
    ],
)
def test_a_file_that_is_no_advice_is_refused(text, wanted, luthier, write):
    write("recipes/advice/bad.yaml", f"# Bad.\n{text}\n")
    ended = luthier("advise", "labels=3")
    assert (ended.code, wanted in ended.err) == (2, True), ended.err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [((), "luthier advise FILE"), (("lables=3",), "Did you mean labels?"), (("nowhere.jsonl",), "There is no"),
     (("labels=many",), "no amount"), (("labels=-1",), "no amount")],
)  # fmt: skip
def test_what_cannot_be_understood_is_said(words, wanted, luthier):
    ended = luthier("advise", *words)
    assert (ended.code, wanted in ended.err) == (2, True), ended.err


def test_a_person_at_a_terminal_is_asked(luthier, monkeypatch):
    answers = iter(["1200", "", "0", "0", ""])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    ended = luthier("advise")
    assert "How many examples have the wanted answer?" in ended.err
    assert "lora_sft" in ended.out
    assert "luthier compare recipe=zero_shot" in ended.out
