"""`luthier init`: a first recipe for somebody's own data, which composes as it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def turn(number: int, answer: str) -> dict:
    return {"messages": [{"role": "user", "content": f"q{number}"}, {"role": "assistant", "content": answer}]}


FILES = {
    "messages": ("mine.jsonl", lines([turn(n, f"answer {n}") for n in range(20)]), "jsonl", "generation"),
    "messages with few answers": (
        "mine.jsonl",
        lines([turn(n, "ab"[n % 2]) for n in range(40)]),
        "jsonl",
        "classification",
    ),
    "sharegpt": (
        "mine.json",
        json.dumps(
            [{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": f"b{n}"}]} for n in range(9)]
        ),
        "json",
        "generation",
    ),
    "alpaca": (
        "mine.jsonl",
        lines([{"instruction": f"do {n}", "input": "", "output": f"done {n}"} for n in range(9)]),
        "jsonl",
        "generation",
    ),
    "prompt_completion": (
        "mine.csv",
        "prompt,completion\n" + "".join(f"p{n},c{n}\n" for n in range(9)),
        "csv",
        "generation",
    ),
    "classification": (
        "mine.csv",
        "text,label\n" + "".join(f"t{n},{n % 2}x\n" for n in range(9)),
        "csv",
        "classification",
    ),
    "prompt_completion in lines of another ending": (
        "mine.ndjson",
        lines([{"prompt": f"p{n}", "completion": f"c{n}"} for n in range(99)]),
        "jsonl",
        "generation",
    ),
    "classification with tabs": (
        "mine.tsv",
        "text\tlabel\n" + "".join(f"t{n}\t{n % 2}x\n" for n in range(9)),
        "csv",
        "classification",
    ),
    "text of a page": ("mine.md", "# Title\n\nOne paragraph.\n", "text", "none"),
    "text": ("mine.txt", "One paragraph.\n\nAnother one.\n\nA third one.\n", "text", "none"),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_format_is_found_and_the_recipe_composes(kind, luthier, write):
    name, text, data, task = FILES[kind]
    write(name, text)
    end = luthier("init", name, "--json")
    assert end.code == 0, end.err
    assert end.record["format"] == kind.split()[0]
    assert end.record["next"][-1] == "luthier recipe=mine"
    recipe = yaml.safe_load(Path(end.record["recipe"]).read_text())
    answers = {key: value for entry in recipe["defaults"] for key, value in entry.items()}
    assert answers["override /data"] == data
    assert answers["override /evaluation/task"] == task
    composed = luthier("recipe=mine", "--cfg", "job", "--json")
    assert composed.code == 0, composed.err
    assert composed.record["data"]["file"] == name


def test_columns_of_other_names_are_renamed(luthier, write):
    write("mine.csv", "review,sentiment\n" + "".join(f"t{n},{n % 2}x\n" for n in range(9)))
    assert luthier("init", "mine.csv").code == 0
    composed = luthier("recipe=mine", "--cfg", "job", "--json").record
    assert composed["data"]["rename"] == {"review": "text", "sentiment": "label"}
    assert luthier("plan", "recipe=mine", "debug=tiny").code == 0


def test_a_folder_of_files_is_taken_whole(luthier, write):
    write("corpus/train.jsonl", lines([turn(n, f"a{n}") for n in range(9)]))
    write("corpus/test.jsonl", lines([turn(n, f"b{n}") for n in range(9)]))
    assert luthier("init", "corpus").code == 0
    assert luthier("recipe=corpus", "--cfg", "job", "--json").record["data"]["file"] == "corpus"


def test_the_recipe_and_its_schema_are_for_the_editor(luthier, write, here):
    import jsonschema

    write("mine.jsonl", lines([turn(n, f"a{n}") for n in range(9)]))
    luthier("init", "mine.jsonl")
    file = here / "recipes/recipe/mine.yaml"
    (modeline,) = (line for line in file.read_text().splitlines() if "yaml-language-server" in line)
    schema = (file.parent / modeline.partition("$schema=")[2]).resolve()
    jsonschema.validate(yaml.safe_load(file.read_text()), json.loads(schema.read_text()))


def test_nothing_is_overwritten(luthier, write):
    write("mine.jsonl", lines([turn(n, f"a{n}") for n in range(9)]))
    assert luthier("init", "mine.jsonl").code == 0
    file = write("recipes/recipe/mine.yaml", "# @package _global_\n# Edited.\nseed: 1\n")
    end = luthier("init", "mine.jsonl", "--json")
    assert end.code == 2
    assert "--name" in end.error["hint"]
    assert "Edited" in file.read_text()
    assert luthier("init", "mine.jsonl", "--name", "other").code == 0


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a b", ""])
def test_a_name_stays_in_its_folder(name, luthier, write):
    write("mine.jsonl", lines([turn(n, f"a{n}") for n in range(9)]))
    if name:
        assert luthier("init", "mine.jsonl", "--name", name).code == 6


def test_a_file_name_with_spaces_and_signs_makes_a_plain_name(luthier, write):
    write("Häuser & Höfe (v2).jsonl", lines([turn(n, f"a{n}") for n in range(9)]))
    end = luthier("init", "Häuser & Höfe (v2).jsonl", "--json")
    assert end.code == 0, end.err
    assert luthier(*end.record["next"][-1].split()[1:], "--cfg", "job").code == 0


@pytest.mark.parametrize(
    "name",
    ["${seed}.jsonl", "a b${x}$.jsonl", "~no such user.jsonl", "a   # b.jsonl", "a\nb: c.jsonl", "\x85😀'\".jsonl"],
)
def test_the_recipe_reads_back_the_very_name_of_the_file(name, luthier, write):
    write(name, lines([{"review": f"t{n}", "sentiment": f"{n % 2}x"} for n in range(9)]))
    end = luthier("init", f"./{name}", "--name", "mine", "--json")
    assert end.code == 0, end.err
    composed = luthier("recipe=mine", "--cfg", "job", "--json")
    assert composed.code == 0, composed.err
    assert composed.record["data"]["file"] == name
    assert composed.record["data"]["rename"] == {"review": "text", "sentiment": "label"}
    planned = luthier("plan", "recipe=mine", "debug=tiny", "--json")
    assert planned.code == 0, planned.err + planned.out


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nowhere.jsonl", None),
        ("empty.jsonl", ""),
        ("broken.jsonl", '{"messages": [\n'),
        ("odd.jsonl", lines([{"a": 1, "b": 2}])),
        ("picture.png", "x"),
    ],
)
def test_data_that_cannot_be_used_is_named(name, text, luthier, write, here):
    if text is not None:
        write(name, text)
    end = luthier("init", name, "--json")
    assert end.code == 3, end.err
    assert name in end.error["where"] + end.error["message"]
    assert not (here / "recipes").exists()


@pytest.mark.parametrize("kind", FILES)
def test_a_first_recipe_has_an_offline_twin(kind, luthier, write):
    name, text, _, _ = FILES[kind]
    write(name, text)
    assert luthier("init", name).code == 0
    planned = luthier("plan", "recipe=mine", "debug=tiny", "--json")
    assert planned.code == 0, planned.err + planned.out


def test_a_file_whose_name_reads_as_a_flag_is_asked_for_as_a_path(luthier, write):
    write("-lead.jsonl", '{"prompt": "a", "completion": "b"}\n')
    end = luthier("init", "-lead.jsonl", "--json")
    assert end.code == 2
    assert end.error["hint"] == "Write it as ./-lead.jsonl."
    assert luthier("init", "./-lead.jsonl").code == 0
