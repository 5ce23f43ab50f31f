"""Who may be compared: one evaluation, one budget, the same examples; what differs is named before anything runs."""

from __future__ import annotations

import json

import pytest

from luthier.cli.session import catalog
from luthier.config.compose import Composer
from luthier.errors import RecipeError
from luthier.plugins.registry import Plugins
from luthier.workflows.comparison.contenders import contenders
from luthier.workflows.comparison.lock import lock_examples
from luthier.workflows.comparison.terms import terms

pytestmark = pytest.mark.usefixtures("here")
TINY = ("debug=tiny", "data=demo", "data.limit=60")


def composed(*words, seeds=None, splits=None):
    plugins = Plugins()
    composer = Composer(plugins, catalog(plugins))
    found = contenders([*TINY, *words], composer.catalog)
    for one in found:
        one.compose(composer, seeds, splits)
    return found


def test_each_combination_of_values_is_a_contender_and_each_seed_a_run():
    found = composed("recipe=zero_shot,lora_sft", "optimizer.lr=1e-3,1e-4", seeds=2)
    assert [one.name for one in found] == [
        "zero_shot optimizer.lr=0.001", "zero_shot optimizer.lr=0.0001",
        "lora_sft optimizer.lr=0.001", "lora_sft optimizer.lr=0.0001",
    ]  # fmt: skip
    assert [run.composition.config.seed for run in found[0].runs] == [0, 1]
    assert len({run.key for one in found for run in one.runs}) == 8


def test_without_seeds_the_recipes_own_holds():
    assert [one.runs[0].composition.config.seed for one in composed("recipe=zero_shot,lora_sft", "seed=7")] == [7, 7]


def test_the_budget_is_said_in_words():
    assert terms(composed("recipe=zero_shot,lora_sft")).budget == (
        "2 steps of 2 blocks of 256 tokens, at most 2 epochs of the training split"
    )
    assert terms(composed("recipe=lora_sft", "adaptation=lora,full", "trainer.max_steps=null")).budget == (
        "2 epochs of the training split"
    )
    assert terms(composed("recipe=zero_shot", "seed=1,2")).budget == ""


@pytest.mark.parametrize(
    ("words", "where", "wanted"),
    [
        (("recipe=zero_shot", "evaluation.examples=10,20"), "evaluation.examples", "measured in different ways"),
        (("recipe=zero_shot", "evaluation/task=classification,none", "score=loss"), "", "measured in different ways"),
        (("recipe=zero_shot", "score=accuracy,loss"), "score", "'accuracy' in the first and 'loss' in the other"),
        (("recipe=lora_sft", "trainer.max_steps=2,3"), "trainer.max_steps", "different budgets"),
        (("recipe=lora_sft", "batch.size=2,4"), "batch.size", "different budgets"),
        (("recipe=lora_sft", "trainer.max_steps=null", "trainer.epochs=1,2"), "trainer.epochs", "different budgets"),
    ],
)
def test_other_terms_are_refused_with_what_differs(words, where, wanted):
    with pytest.raises(RecipeError, match=wanted) as error:
        terms(composed(*words))
    assert error.value.where.startswith(where)


def test_all_that_differs_is_named_at_once(here, luthier):
    ended = luthier(
        "compare", *TINY, "recipe=lora_sft", "trainer.max_steps=2,3", "batch.size=2,4", "evaluation.examples=10,20",
        "data.limit=60,50",
    )  # fmt: skip
    assert ended.code == 2
    for said in ("trainer.max_steps is 2", "batch.size is 2", "evaluation.examples is 10", "would be measured on"):
        assert said in ended.err, ended.err
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("words", "differ"),
    [
        (("evaluation.samples=0", "evaluation.sample_tokens=8,16"), False),
        (("evaluation.samples=2", "evaluation.sample_tokens=8,16"), True),
        (("evaluation.general_examples=0", "evaluation.general_length=8,16"), False),
        (("evaluation.general_examples=4", "evaluation.general_length=8,16"), True),
    ],
)
def test_settings_that_change_nothing_do_not_count(words, differ):
    compared = composed("recipe=zero_shot", *words)
    if differ:
        with pytest.raises(RecipeError, match="different ways"):
            terms(compared)
    else:
        assert terms(compared).evaluation == terms(compared[:1]).evaluation == terms(compared[1:]).evaluation


def test_what_is_wrong_with_each_contender_is_said_at_once(luthier):
    ended = luthier("compare", *TINY, "recipe=zero_shot,lora_sft", "optimizer.lt=1", "score=accuracy,loss")
    assert ended.code == 2
    assert "zero_shot score=accuracy: There is no setting" in ended.err
    assert "lora_sft score=loss: There is no setting" in ended.err


def test_batches_may_differ_where_the_budget_is_passes_over_the_data():
    assert terms(composed("recipe=lora_sft", "trainer.max_steps=null", "batch.size=2,4")).budget


def test_the_lock_names_the_examples_and_other_data_is_refused():
    found = lock_examples(composed("recipe=zero_shot,lora_sft"))
    assert (found.split, len(found.examples)) == ("test", 16)
    assert found == lock_examples(composed("recipe=zero_shot,lora_sft", "seed=3"))
    with pytest.raises(RecipeError, match="would be measured on"):
        lock_examples(composed("recipe=zero_shot", "data.limit=60,50"))


def test_more_training_data_is_no_other_evaluation(write):
    def rows(numbers, split):
        return "".join(json.dumps({"prompt": f"q{n}", "completion": f"a{n}", "split": split}) + "\n" for n in numbers)

    write("few.jsonl", rows(range(5), "train") + rows(range(90, 99), "test"))
    write("many.jsonl", rows(range(50), "train") + rows(range(90, 99), "test"))
    words = (
        "recipe=zero_shot",
        "data=jsonl",
        "data.file=few.jsonl,many.jsonl",
        "data.limit=null",
        "data/format=prompt_completion",
    )
    assert lock_examples(composed(*words)).count == 9


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["recipe=zero_shot"], "nothing to compare"),
        (["recipe=zero_shot,zero_shot"], "named twice"),
        (["recipe=zero_shot,lroa_sft"], "Did you mean lora_sft"),
        (["recipe=zero_shot,lora_sft", "optimizer.lt=1"], "zero_shot: There is no setting"),
        (["recipe=zero_shot,lora_sft", "seeds=none"], "no number of seeds"),
        (["recipe=zero_shot,lora_sft", "seeds=2", "seed=1"], "Say one of them"),
        (["recipe=zero_shot,lora_sft", "name=mine"], "set by luthier"),
        (["recipe=zero_shot", "seed=" + ",".join(map(str, range(65)))], "65 contenders are too many"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused_before_anything_runs(words, wanted, luthier, here):
    ended = luthier("compare", *TINY, *words)
    assert ended.code == 2
    assert wanted in ended.err
    assert not (here / "runs").exists()


def test_each_split_is_a_run_with_other_held_out_examples_and_all_are_locked():
    found = composed("recipe=zero_shot,lora_sft", "data.splits.test=0.25", seeds=2, splits=3)
    folds = [run.composition.config.data.splits.fold for run in found[0].runs]
    assert folds == [0, 0, 1, 1, 2, 2]
    locked = lock_examples(found, 3)
    assert len({one.examples for one in locked.folds}) == 3
    assert locked.count == sum(one.count for one in locked.folds)
    assert locked.held_out == pytest.approx(locked.count / 3 / locked.trained)
    assert [locked.of_run(number, 6) for number in range(6)] == [one for one in locked.folds for _ in range(2)]


def test_a_plan_says_what_would_run_and_which_difference_it_sees(luthier):
    words = (*TINY, "recipe=zero_shot,lora_sft", "data.splits.test=0.25")
    ended = luthier("compare", *words, "seeds=3", "--plan")
    assert ended.code == 0, ended.err
    assert "power: where two contenders differ on 30% of the examples and a score varies by 0.01" in ended.out
    assert ended.out.count("would run") == 6
    assert "of 3 data splits" in luthier("compare", *words, "splits=3", "--plan").out
    assert "too few to decide anything" in luthier("compare", *words, "until=decided", "margin=0.1", "--plan").out


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("splits=1",), "is no number of data splits"),
        (("splits=5",), "There is no fold 4"),
        (("splits=3", "data/splits=as_given"), "fold"),
        (("splits=3", "until=decided", "margin=0.1"), "A race is of one data split"),
    ],
)
def test_splits_that_there_cannot_be_are_refused(luthier, words, wanted):
    ended = luthier("compare", *TINY, "recipe=zero_shot,lora_sft", "data.splits.test=0.25", *words)
    assert ended.code == 2
    assert wanted in ended.err
