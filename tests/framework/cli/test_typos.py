"""Whatever is mistyped, wherever it stands, is named before anything is loaded, with the nearest names (exit 2)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TYPOS = {
    # verbs and flags
    ("exlpain",): "explain",
    ("recpies",): "recipes",
    ("--jsno",): "--json",
    ("--multirn", "seed=1,2"): "--multirun",
    ("--cfg", "jbo"): "job",
    ("plan", "--al"): "--all",
    ("completion", "bsh"): "bash",
    ("explain", "adaptaton=lora"): "adaptation",
    ("explain", "adaptation=lroa"): "lora",
    ("explain", "lora"): "adaptation=lora",
    ("recipes", "modle"): "model",
    # questions and answers
    ("modle=tiny",): "model",
    ("+modle=tiny",): "model",
    ("++modle=tiny",): "model",
    ("~modle",): "model",
    ("model=tniy",): "tiny",
    ("+model=tniy",): "tiny",
    ("++model=tniy",): "tiny",
    ("model=",): "folder",
    ("recipe=quickstrat",): "quickstart",
    ("debug=tniy",): "tiny",
    ("plan", "recipe=quickstrat"): "quickstart",
    ("preview", "recipe=quickstrat"): "quickstart",
    ("demo", "model=tniy"): "tiny",
    # nested questions
    ("optimizer/schedul=cosine",): "optimizer/schedule",
    ("optimzer/schedule=cosine",): "optimizer/schedule",
    ("optimizer/schedule=cosin",): "cosine",
    ("+optimizer/schedule=cosin",): "cosine",
    ("evaluation/task=clasification",): "classification",
    ("data/format=alpcaa",): "alpaca",
    ("hydra/launcher=baisc",): "basic",
    # settings
    ("sead=1",): "seed",
    ("+sead=1",): "seed",
    ("++sead=1",): "seed",
    ("trainer.clpi=1",): "trainer.clip",
    ("+trainer.clpi=1",): "trainer.clip",
    ("++trainer.clpi=1",): "trainer.clip",
    ("~trainer.clpi",): "trainer.clip",
    ("trainr.clip=1",): "trainer.clip",
    ("clip=1",): "trainer.clip",
    ("trainer={clpi: 1}",): "trainer.clip",
    ("optimizer.schedule.warmpu=0.1",): "optimizer.schedule.warmup",
    ("+optimizer.schedule.warmpu=0.1",): "optimizer.schedule.warmup",
    ("evaluation.task.labls=[a]", "evaluation/task=classification"): "evaluation.task.labels",
    ("batch.lenght=8",): "batch.length",
    ("stages=[fti]",): "fit",
    # sources in mappings and lists
    ("data=mixture", "+data@data.sources.a=jsnol"): "jsonl",
    ("data=mixture", "+dta@data.sources.a=jsonl"): "data",
    ("data=mixture", "+data@data.surces.a=jsonl"): "data.sources",
    ("data=mixture", "+data@data.sources.a=tiny", "data.sources.a.limt=3"): "data.sources.a.limit",
    ("data=mixture", "+data@data.sources.a=tiny", "+data.sources.a.limt=3"): "data.sources.a.limit",
    ("data=mixture", "+data@data.sources.a=tiny", "data.wieghts={a: 1}"): "data.weights",
    ("data@data.sources.a=jsonl",): "+data@data.sources.a",
    # sweeps
    ("-m", "model=tiny,tniy"): "tiny",
    ("-m", "trainer.clpi=1,2"): "trainer.clip",
    ("-m", "seed=1,2", "modle=tiny"): "model",
    ("-m", "optimizer/schedule=cosine,liner"): "linear",
    ("-m", "trainer.clpi=interval(0,1)"): "trainer.clip",
    ("-m", "optimizer.lr=interval(1e-5,1e-3)", "modle=tiny"): "model",
    ("-m", "optimizer/shedule=glob(*)"): "optimizer/schedule",
    ("-m", "optimizer/schedule=glob(x*)"): "cosine",
    ("-m", "trainer.epochs=range(1,3)", "model=tniy"): "tiny",
    # plugins
    ("-p", "no:stf"): "sft",
    ("-p=no:adaptrs",): "adapters",
}


@pytest.fixture(scope="module")
def ask(tmp_path_factory, session_cache) -> Iterator[Callable[..., dict]]:
    """Carries out a command line in a process that began without torch, in an empty folder."""
    environ = {name: value for name, value in os.environ.items() if name != "LUTHIER_PLUGINS"}
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("wrong_commands.py"))], cwd=tmp_path_factory.mktemp("empty"),
        env={**environ, "LUTHIER_CACHE": str(session_cache)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    def ask(*argv: str) -> dict:
        process.stdin.write(json.dumps(argv) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield ask
    process.stdin.close()
    process.wait(30)
    process.stdout.close()


@pytest.mark.parametrize("argv", TYPOS, ids=" ".join)
def test_a_typo_is_named_with_what_was_meant(argv, ask):
    end = ask(*argv, "--json")
    assert end["code"] == 2, end["err"]
    error = json.loads(end["err"].strip().splitlines()[-1])
    assert TYPOS[argv] in f"{error['hint']} {error['message']}"
    assert end["heavy"] == []
    assert end["written"] == []


WRONG = {
    ("trainer.epochs=two",): "a whole number",
    ("trainer.epochs=2.5",): "a whole number",
    ("trainer.clip=high",): "a number",
    ("trainer.clip=true",): "a number",
    ("trainer.precision=fp8",): "fp32, bf16",
    ("batch.packing=maybe",): "true or false",
    ("batch.packing=1",): "true or false",
    ("adaptation=lora", "adaptation.targets=3"): "text",
    ("adaptation=lora", "adaptation.targets=[q_proj,3]"): "text",
    ("data=jsonl", "data.file=3"): "text",
    ("data=jsonl", "data.file=a.jsonl", "data.rename={a: 3}"): "text",
    ("data=jsonl", "data.file=a.jsonl", "data.on_bad_row=ignore"): "error, skip, quarantine",
    ("data=mixture", "+data.sources.a.file=a.jsonl"): "part",
    ("evaluation/task=classification", "evaluation.task.labels=happy"): "a list of texts",
    ("optimizer.schedule=cosine",): "optimizer",
    ("seed=one",): "a whole number",
    ("name=3",): "text",
    ("stages=fit",): "a list",
}


@pytest.mark.parametrize("argv", WRONG, ids=" ".join)
def test_a_value_of_the_wrong_kind_is_named_with_what_is_allowed(argv, luthier):
    end = luthier(*argv, "--json")
    assert end.code == 2, end.err
    assert WRONG[argv] in f"{end.error['message']} {end.error['hint']}"


def test_a_recipe_of_another_version_is_refused(luthier, write):
    write("recipes/recipe/mine.yaml", "# @package _global_\n# Mine.\nschema_version: 2\n")
    end = luthier("recipe=mine", "--json")
    assert (end.code, end.error["where"]) == (2, "recipes/recipe/mine.yaml:3")


def test_what_must_be_given_is_asked_for(luthier):
    end = luthier("data=jsonl", "--json")
    assert (end.code, end.error["where"]) == (2, "data.file")
    assert "data.file=" in end.error["hint"]


def test_a_question_that_is_taken_away_is_asked_for(luthier):
    end = luthier("~method", "--json")
    assert (end.code, end.error["where"]) == (2, "method")


def test_all_complaints_come_together(luthier):
    end = luthier("+trainer.clpi=1", "seed=x", "adaptation=lora", "adaptation.rank=big")
    assert end.code == 2
    assert [line for line in end.err.splitlines() if "error:" in line] == end.err.splitlines()
    assert all(name in end.err for name in ("trainer.clip", "seed", "adaptation.rank"))


def test_a_mistake_in_a_file_is_named_with_its_line(luthier, write):
    write("recipes/recipe/mine.yaml", "# @package _global_\n# Mine.\ntrainer:\n  epochs: 2\n  clpi: 3\n")
    end = luthier("recipe=mine", "--json")
    assert (end.code, end.error["where"]) == (2, "recipes/recipe/mine.yaml:5")


def test_an_answer_mistyped_in_a_file_is_named_with_the_file(luthier, write):
    write("recipes/recipe/mine.yaml", "# @package _global_\n# Mine.\ndefaults: [override /model: tniy]\n")
    end = luthier("recipe=mine", "--json")
    assert end.code == 2
    assert "tiny" in end.error["hint"]


def test_a_question_mistyped_in_a_file_is_named(luthier, write):
    write("recipes/recipe/mine.yaml", "# @package _global_\n# Mine.\ndefaults: [override /modle: tiny]\n")
    end = luthier("recipe=mine", "--json")
    assert end.code == 2
    assert "model" in end.error["hint"]
    assert "mine.yaml" in end.error["where"]


def test_a_reference_to_nothing_is_named(luthier, write):
    write("recipes/recipe/mine.yaml", "# @package _global_\n# Mine.\nmodel: {seed: '${sead}'}\n")
    end = luthier("recipe=mine", "--json")
    assert end.code == 2
    assert "seed" in end.error["hint"]


def test_a_folder_of_recipes_that_is_not_there_is_named(luthier, here):
    (here / "my_recipes").mkdir()
    end = luthier("--config-dir", "my_recipe", "--cfg", "job", "--json")
    assert end.code == 2
    assert "my_recipes" in end.error["hint"]


def test_a_module_that_is_not_there_is_no_plugin(luthier):
    assert luthier("-p", "no_such_module_at_all", "--cfg", "job").code == 2


def test_words_that_are_neither_are_named(luthier):
    end = luthier("recipe=demo", "plan", "--json")
    assert end.code == 2
    assert "luthier plan" in end.error["hint"]


def test_a_setting_that_a_replaced_answer_knew_is_dropped_with_a_note(luthier, write):
    body = "defaults: [override /data: jsonl]\ndata: {file: a.jsonl}\n"
    write("recipes/recipe/mine.yaml", f"# @package _global_\n# Mine.\n{body}")
    end = luthier("recipe=mine", "data=tiny", "--cfg", "job")
    assert end.code == 0, end.err
    assert "data.file" in end.err


def test_a_question_that_a_replaced_answer_asked_is_dropped_with_a_note(luthier, write):
    body = "defaults: [override /data: jsonl, override /data/reader: csv]\ndata: {file: a.jsonl}\n"
    write("recipes/recipe/mine.yaml", f"# @package _global_\n# Mine.\n{body}")
    end = luthier("recipe=mine", "data=tiny", "--cfg", "job")
    assert end.code == 0, end.err
    assert "data/reader=csv" in end.err
    assert luthier("recipe=mine", "debug=tiny", "--cfg", "job").code == 0


@pytest.mark.parametrize("data", ["data=mixture", "data=filtered"])
def test_a_tiny_twin_takes_data_that_asks_other_questions(luthier, write, data):
    write("notes.txt", "One.\n\nTwo.\n")
    end = luthier("recipe=demo", "debug=tiny", data, *(["data.source.file=notes.txt"] if "filtered" in data else []),
                  "--cfg", "job", "--resolve")  # fmt: skip
    assert end.code == 0, end.err
    assert "max_steps: 2" in end.out


def test_a_question_that_the_new_answer_asks_too_keeps_the_recipes_answer(luthier, write):
    body = "defaults: [override /data: jsonl, override /data/format: alpaca]\ndata: {file: a.jsonl}\n"
    write("recipes/recipe/mine.yaml", f"# @package _global_\n# Mine.\n{body}")
    end = luthier("recipe=mine", "data=csv", "--cfg", "job")
    assert end.code == 0, end.err
    assert "Alpaca" in end.out


@pytest.mark.parametrize(
    "argv", [("recipe=distill", "debug=tiny", "~method.offline_teacher"), ("debug=tiny", "~seeed")]
)
def test_what_has_no_value_cannot_be_taken_away_and_no_hint_names_the_very_word(luthier, argv):
    end = luthier("plan", *argv)
    assert end.code == 2
    word = argv[-1].lstrip("~")
    assert f"The recipe has no value at {word!r} to take away" in end.err
    assert f"Did you mean {word}" not in end.err
