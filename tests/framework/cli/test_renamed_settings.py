"""Settings, answers and metrics of version 0.1 are taken under their new names, and nothing else is renamed."""

from __future__ import annotations

import pytest
import yaml

from luthier.config.renamed_settings import current_config

METRICS = "evaluation.task.metrics"
QUESTION = f"evaluation/metric@{METRICS}"
DISTILL = "luthier_distillation.distill.Distillation"
OLD = "luthier_retrieval.metrics.obeyed.Obeyed"
NEW = "luthier_retrieval.metrics.injection_success_rate.InjectionSuccessRate"
ACCURACY = "luthier.evaluation.metrics.accuracy.Accuracy"


@pytest.fixture
def composed(luthier):
    """The recipe of a command line, as it is composed, and what is said on stderr."""

    def compose(*words):
        ended = luthier("--cfg", "job", *words)
        assert ended.code == 0, ended.err
        return yaml.safe_load(ended.out), ended.err

    return compose


def test_an_old_setting_of_a_file_is_renamed_by_the_part_that_had_it():
    config, notes = current_config({"method": {"_target_": DISTILL, "kept": "runs/x", "offline_teacher": None}})
    assert config == {"method": {"_target_": DISTILL, "offline_teacher": "runs/x"}}
    assert notes == ["method.kept is called method.offline_teacher now; the old name goes away in luthier 0.3."]
    own = {"method": {"_target_": "mine.Method", "kept": "runs/x"}, "kept": 1}
    assert current_config(own) == (own, [])


def test_an_old_setting_of_a_command_line_is_renamed_by_the_part_that_had_it(composed):
    recipe, said = composed("recipe=distill", "method.kept=runs/x")
    assert recipe["method"]["offline_teacher"] == "runs/x"
    assert "method.kept=runs/x is called method.offline_teacher=runs/x now" in said


def test_a_setting_of_another_part_is_not_taken_for_a_renamed_one(luthier):
    ended = luthier("plan", "debug=tiny", "+method.kept=runs/x")
    assert ended.code == 2
    assert "There is no setting 'method.kept'" in ended.err
    assert "offline_teacher" not in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ["evaluation/task=generation", f"+{QUESTION}.obeyed=accuracy"],
        ["evaluation/task=injection", f"+{QUESTION}.obeyed=accuracy"],
        ["evaluation/task=injection", f"{METRICS}.obeyed={{_target_: {ACCURACY}}}"],
        ["recipe=own"],
    ],
)
def test_a_metric_that_the_user_calls_by_an_old_name_keeps_it(composed, write, words):
    defaults = f"defaults:\n  - /{QUESTION}.obeyed: accuracy\n  - override /evaluation/task: injection\n"
    write("recipes/recipe/own.yaml", f"# @package _global_\n# Mine.\n{defaults}")
    recipe, said = composed(*words, "score=obeyed")
    assert recipe["evaluation"]["task"]["metrics"]["obeyed"]["_target_"] == ACCURACY
    assert recipe["score"] == "obeyed"
    assert "note" not in said


def test_the_metric_itself_is_renamed_wherever_it_stands(composed, write):
    recipe, _ = composed("evaluation/task=generation", f"+{QUESTION}.obeyed=obeyed", "score=obeyed")
    assert recipe["evaluation"]["task"]["metrics"]["injection_success_rate"]["_target_"] == NEW
    assert recipe["score"] == "injection_success_rate"
    own = "evaluation: {task: {metrics: {obeyed: {words: [marzipan]}}}}\nscore: obeyed\n"
    write(
        "recipes/recipe/own.yaml",
        f"# @package _global_\n# Mine.\ndefaults: [override /evaluation/task: injection]\n{own}",
    )
    recipe, said = composed("recipe=own")
    assert recipe["evaluation"]["task"]["metrics"]["injection_success_rate"] == {"_target_": NEW, "words": ["marzipan"]}
    assert recipe["score"] == "injection_success_rate"
    assert "score=obeyed is called score=injection_success_rate now" in said


@pytest.mark.parametrize(
    ("word", "metrics"),
    [
        (f"~{QUESTION}.obeyed", {"contains"}),
        (f"{METRICS}.obeyed.words=[x]", {"injection_success_rate", "contains"}),
        (f"{QUESTION}.obeyed=exact_match", {"injection_success_rate", "contains"}),
    ],
)
def test_a_word_that_names_the_metric_of_a_task_reaches_it(composed, word, metrics):
    recipe, said = composed("evaluation/task=injection", word)
    assert set(recipe["evaluation"]["task"]["metrics"]) == metrics
    assert f"{word} is called" in said


def test_references_are_renamed_before_they_are_resolved(composed, write):
    recipe, _ = composed("recipe=distill", "method.kept=runs/x", "name=of-${method.kept}", "--resolve")
    assert recipe["name"] == "of-runs/x"
    own = "method: {kept: runs/x, name: '${.kept}'}\nname: of-${method.kept}\n"
    config, _ = current_config(yaml.safe_load(own) | {"method": {"_target_": DISTILL, "kept": "x", "log": "${.kept}"}})
    assert config["name"] == "of-${method.offline_teacher}"
    assert config["method"]["log"] == "${.offline_teacher}"


def test_the_recipe_of_an_earlier_run_is_renamed_before_it_is_resolved(here):
    from luthier.config.stored import stored_recipe
    from luthier.plugins.registry import Plugins

    text = f"method: {{_target_: {DISTILL}, kept: runs/x}}\nname: of-${{method.kept}}\n"
    (here / "resolved.yaml").write_text(text)
    recipe = stored_recipe(here / "resolved.yaml", Plugins())
    assert recipe == {"method": {"_target_": DISTILL, "offline_teacher": "runs/x"}, "name": "of-runs/x"}


@pytest.mark.parametrize("values", ["obeyed,exact_match", "exact_match,obeyed", "choice(obeyed,exact_match)"])
def test_each_old_answer_of_a_sweep_is_renamed(values):
    from luthier.config.command_line import read
    from luthier.config.renamed_words import current_words

    words, notes = current_words(read([f"+{QUESTION}.own={values}"]), lambda words: {})
    assert words == [f"+{QUESTION}.own={values.replace('obeyed', 'injection_success_rate')}"]
    assert len(notes) == 1


def test_a_sweep_shows_the_names_of_now_and_a_note_says_what_was_renamed(luthier):
    typed = f"+{QUESTION}.own=choice(obeyed)"
    ended = luthier("-m", "debug=tiny", "evaluation/task=generation", typed, "score=nothing")
    now = typed.replace("obeyed", "injection_success_rate")
    assert f"note: {typed} is called {now} now" in ended.err
    assert f"{QUESTION}.own=injection_success_rate score=nothing" in ended.out
    assert "obeyed" not in ended.out


def test_an_old_answer_of_a_recipe_is_taken(composed, write):
    place = f"{QUESTION}.injected"
    defaults = f"defaults:\n  - /{place}: obeyed\n  - override /evaluation/task: generation\n"
    write("recipes/recipe/mine.yaml", f"# @package _global_\n# Mine.\n{defaults}")
    recipe, _ = composed("recipe=mine")
    assert recipe["evaluation"]["task"]["metrics"]["injected"]["_target_"] == NEW


def test_an_old_target_in_a_mapping_is_renamed_with_its_key():
    config, notes = current_config({"a": {"obeyed": {"_target_": OLD}}})
    assert config == {"a": {"injection_success_rate": {"_target_": NEW}}}
    assert len(notes) == 2


def test_an_old_answer_is_explained_under_its_new_name_with_a_note(luthier):
    ended = luthier("explain", "evaluation/metric=obeyed")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("evaluation/metric=injection_success_rate")
    assert "evaluation/metric=obeyed is called evaluation/metric=injection_success_rate now" in ended.err
