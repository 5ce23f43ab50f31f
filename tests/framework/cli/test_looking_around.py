"""`recipes`, `plugins`, `explain`, `--help`: what there is, said for people and for scripts."""

from __future__ import annotations

import pytest

from luthier.cli.verbs import BUILT_IN, built_in
from luthier.config.catalog import Catalog
from luthier.errors.exit_codes import MEANINGS
from luthier.plugins.registry import Plugins

ANSWERS = list(Catalog.of(Plugins(only=None)))


def test_help_names_every_verb_and_question(luthier):
    out = luthier("--help").out
    assert all(verb in out for verb in BUILT_IN)
    assert all(question in out for question in ("model", "adaptation", "evaluation", "recipe"))


@pytest.mark.parametrize("verb", BUILT_IN)
def test_every_verb_has_its_help(verb, luthier):
    end = luthier(verb, "--help")
    assert end.code == 0
    assert BUILT_IN[verb] in " ".join(end.out.split())
    assert built_in(verb).act.__module__ == f"luthier.cli.verbs.{verb.replace('-', '_')}"


def test_version_is_the_distributions(luthier):
    from importlib.metadata import version

    assert luthier("--version").out == f"luthier {version('luthier')}\n"
    assert luthier("--version", "--json").record == {"luthier": version("luthier")}


def test_recipes_are_listed_with_what_they_are_for(luthier, write):
    write("recipes/recipe/mine.yaml", "# @package _global_\n# Teach it manners.   luthier recipe=mine\nseed: 1\n")
    records = {one["name"]: one for one in luthier("recipes", "--json").record}
    assert {"demo", "quickstart", "mine"} <= set(records)
    assert records["mine"]["what"] == "Teach it manners."
    assert records["mine"]["run"] == "luthier recipe=mine"
    assert records["mine"]["owner"] == "this folder"
    assert "Teach it manners." in luthier("recipes").out


def test_the_answers_to_a_question_are_listed_with_their_owner(luthier):
    records = {one["name"]: one["owner"] for one in luthier("recipes", "adaptation", "--json").record}
    assert records["full"] == "luthier"
    assert records["lora"] == "adapters"


def test_plugins_are_listed_with_what_they_bring(luthier):
    records = {one["name"]: one for one in luthier("plugins", "--json").record}
    assert {"adaptation=lora", "adaptation=bottleneck"} <= set(records["adapters"]["answers"])
    assert records["ensemble"]["hooks"] == ["luthier_check"]
    assert records["adapters"]["distribution"].startswith("luthier ")
    assert "adaptation=lora" in luthier("plugins").out


def test_a_plugin_that_is_off_is_listed_as_off_and_brings_nothing(luthier):
    records = {one["name"]: one for one in luthier("plugins", "-p", "no:adapters", "--json").record}
    assert records["adapters"]["state"] == "off"
    assert records["adapters"]["answers"] == []


@pytest.mark.parametrize("answer", [str(one) for one in ANSWERS if one.is_part])
def test_every_answer_can_be_explained(answer, luthier):
    """Each has a headline, and each of its settings a type and a default, or must be given."""
    end = luthier("explain", answer, "--json")
    assert end.code == 0, end.err
    record = end.record
    assert record["what"].endswith((".", "…"))
    assert record["doc"]
    assert all(one["type"] for one in record["settings"])
    text = luthier("explain", answer).out
    assert all(one["path"] in text for one in record["settings"])
    unbroken = ("source", "code", "example")
    said = [line for line in text.splitlines() if " " in line.strip() and not line.startswith(unbroken)]
    assert max(map(len, said)) <= 100


def test_explaining_says_type_default_note_paper_code_and_an_example(luthier):
    out = luthier("explain", "adaptation=lora").out
    assert "adaptation.rank = 16" in out
    assert "a whole number" in out
    assert "Hu et al., 2021" in out
    assert "luthier_adapters.lora.Lora" in out
    assert "luthier adaptation=lora adaptation.rank=32" in out


@pytest.mark.parametrize("answer", ["data=mixture", "data=filtered", "adaptation=lora", "optimizer/schedule=wsd"])
def test_the_example_of_an_explanation_composes(luthier, answer):
    example = luthier("explain", answer, "--json").record["example"]
    end = luthier(*example.split()[1:], "--cfg", "job")
    assert end.code == 0, end.err


def test_explaining_says_what_is_handed_over_and_asked_in_turn(luthier):
    record = luthier("explain", "optimizer=adamw", "--json").record
    assert record["asks"] == [{"setting": "schedule", "question": "optimizer/schedule", "answer": "cosine"}]
    record = luthier("explain", "method=sft", "--json").record
    assert record["parts"] == ["model", "adaptation", "optimizer"]


def test_explaining_what_starts_from_another_answer_shows_its_own_values(luthier):
    settings = {one["path"]: one for one in luthier("explain", "model=tiny", "--json").record["settings"]}
    assert settings["model.config"]["default"]["hidden_size"] == 64
    assert settings["model.vocabulary"]["default"] == 1024


def test_explaining_a_recipe_shows_it(luthier):
    end = luthier("explain", "recipe=quickstart")
    assert "override /model: smollm2" in end.out
    assert "luthier plan recipe=quickstart" in end.out


def test_the_exit_codes_are_explained(luthier):
    assert luthier("explain", "exit-codes", "--json").record == {str(code): said for code, said in MEANINGS.items()}
    assert set(MEANINGS) == {0, 1, 2, 3, 4, 5, 6, 7, 130, 143}


def test_the_batch_is_explained_though_it_is_no_question(luthier):
    assert "batch.length" in luthier("explain", "batch").out


def test_errors_are_json_on_the_last_line_of_stderr(luthier):
    end = luthier("model=tniy", "--json")
    assert end.out == ""
    assert set(end.error) == {"code", "kind", "message", "where", "hint", "resumable"}
    assert end.error["code"] == end.code == 2


def test_a_bug_shows_its_traceback_and_ends_with_1(luthier, monkeypatch):
    import luthier.cli.verbs.recipes as recipes

    monkeypatch.setattr(recipes, "act", {}.__getitem__)  # which no code of a plugin calls
    end = luthier("recipes")
    assert end.code == 1
    assert "TypeError" in end.err
    assert "Traceback" in end.err


def test_a_mistake_shows_no_traceback_unless_asked(luthier):
    assert "Traceback" not in luthier("model=tniy").err
    assert "Traceback" in luthier("model=tniy", "--debug").err


def test_an_own_answer_to_a_nested_question_is_found_where_it_stands_alone(luthier, write):
    write("recipes/method/reward/mine.yaml", "# Mine.\n_target_: luthier_reward.rewards.length.Length\nmost: 5\n")
    end = luthier("recipes", "method/reward", "--json")
    assert [one["owner"] for one in end.record if one["name"] == "mine"] == ["this folder"]
    chosen = luthier("--cfg", "job", "method=grpo", "batch.packing=false", "method/reward=mine", "--json")
    assert chosen.record["method"]["reward"]["most"] == 5


def test_an_own_answer_whose_file_ends_otherwise_is_pointed_at(luthier, write):
    write("recipes/recipe/mine.yml", "seed: 1\n")
    end = luthier("preview", "recipe=mine", "--json")
    assert end.code == 2
    assert end.error["hint"].startswith("recipes/recipe/mine.yml is not read: rename it to mine.yaml.")
