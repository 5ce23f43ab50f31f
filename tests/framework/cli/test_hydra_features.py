"""What Hydra users expect: looking at a composition, its parts and sources, further folders, mappings, flags."""

from __future__ import annotations

import pytest
import yaml


def test_cfg_prints_the_recipe_without_hydras_section(luthier):
    end = luthier("recipe=demo", "--cfg", "job")
    assert end.code == 0
    assert yaml.safe_load(end.out)["score"] == "accuracy"
    assert "hydra" not in yaml.safe_load(end.out)


def test_cfg_shows_hydras_own_section_and_everything(luthier):
    assert "sweeper" in yaml.safe_load(luthier("--cfg", "hydra").out)["hydra"]
    assert {"hydra", "model"} <= set(yaml.safe_load(luthier("--cfg", "all").out))


def test_cfg_can_resolve_and_show_a_part(luthier, write):
    write("recipes/recipe/mine.yaml", "# @package _global_\n# Mine.\nseed: 5\nmodel: {seed: '${seed}'}\n")
    argv = ("recipe=mine", "--cfg", "job", "--package", "model")
    assert yaml.safe_load(luthier(*argv).out)["seed"] == "${seed}"
    assert yaml.safe_load(luthier(*argv, "--resolve").out)["seed"] == 5


def test_cfg_gives_json_for_scripts(luthier):
    assert luthier("recipe=demo", "--cfg", "job", "--json").record["score"] == "accuracy"
    end = luthier("recipe=demo", "--cfg", "job", "--json", "--package", "optimizer.schedule")
    assert "warmup" in end.record


def test_cfg_shows_what_is_still_to_be_given(luthier):
    assert yaml.safe_load(luthier("data=jsonl", "--cfg", "job").out)["data"]["file"] == "???"


@pytest.mark.parametrize("what", ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"])
def test_info_says_what_hydra_knows(what, luthier):
    end = luthier("recipe=demo", "--info", what)
    assert end.code == 0, end.err
    assert end.out


def test_the_search_path_names_each_owner(luthier, write):
    write("recipes/recipe/mine.yaml", "# @package _global_\n# Mine.\nseed: 5\n")
    out = luthier("--info", "searchpath").out
    assert all(name in out for name in ("adapters", "sft", "this folder"))


def test_hydra_help_is_there(luthier):
    assert "Hydra" in luthier("--hydra-help").out


def test_a_further_folder_brings_recipes_and_answers(luthier, write):
    write("more/recipe/mine.yaml", "# @package _global_\n# Mine.\ndefaults: [override /model: small]\n")
    write("more/model/small.yaml", "# Small.\ndefaults: [tiny, _self_]\nseed: 9\n")
    end = luthier("--config-dir", "more", "recipe=mine", "--cfg", "job", "--json")
    assert end.code == 0, end.err
    assert end.record["model"]["seed"] == 9
    assert luthier("recipe=mine").code == 2


def test_recipes_of_the_working_folder_are_found(luthier, write):
    write("recipes/model/small.yaml", "# Small.\ndefaults: [tiny, _self_]\nseed: 9\n")
    assert luthier("model=small", "--cfg", "job", "--json").record["model"]["seed"] == 9


def test_an_answer_that_is_installed_too_is_refused_with_both_files(luthier, write):
    write("recipes/model/tiny.yaml", "# Mine.\nseed: 9\n")
    end = luthier("model=tiny", "--json")
    assert end.code == 7
    assert "recipes/model/tiny.yaml" in end.error["message"]
    assert "luthier_recipes" in end.error["message"]


def test_a_mapping_can_be_given_new_keys_without_a_sign(luthier):
    argv = ("data=jsonl", "data.file=a", "data.rename={yours: prompt}", "--cfg", "job", "--json")
    assert luthier(*argv).record["data"]["rename"] == {"yours": "prompt"}


def test_parts_can_be_added_by_name(luthier):
    argv = ("data=mixture", "+data@data.sources.mine=tiny", "data.sources.mine.limit=3", "--cfg", "job", "--json")
    assert luthier(*argv).record["data"]["sources"]["mine"]["limit"] == 3


@pytest.mark.parametrize(
    "argv",
    [
        ["--cfg", "job", "-m"],
        ["--resolve"],
        ["--run", "--info"],
        ["seed=1,2"],
        ["seed='1"],
        ["seed"],
    ],
)
def test_flags_that_do_not_go_together_are_refused(argv, luthier):
    assert luthier("recipe=demo", *argv).code == 2


def test_a_tiny_twin_reads_data_of_ones_own_as_that_data_says(luthier):
    def formats(*words):
        return luthier("recipe=lora_sft", "debug=tiny", *words, "--cfg", "job", "--json").record["data"]["format"]

    assert formats("data=jsonl", "data.file=mine.jsonl")["_target_"].endswith("Auto")
    assert formats("data=product_snippets")["instruction"].startswith("Is this review")
    assert formats()["_target_"] == formats("data=tiny")["_target_"] != formats("data=demo")["_target_"]
    assert formats("data=jsonl", "data.file=mine.jsonl", "data/format=alpaca")["_target_"].endswith("Alpaca")
