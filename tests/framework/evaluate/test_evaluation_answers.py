"""The option files of `evaluation` compose and build, and their nested questions can be answered otherwise."""

from __future__ import annotations

import pytest

from luthier.config.catalog import Catalog
from luthier.config.compose import Composer
from luthier.config.instantiate import instantiate
from luthier.evaluation.evaluation import Evaluation
from luthier.plugins.registry import Plugins


@pytest.fixture(scope="module")
def composed():
    plugins = Plugins.from_flags([])
    composer = Composer(plugins, Catalog.of(plugins))
    return lambda *overrides: instantiate(composer.compose(list(overrides)).config.evaluation)


@pytest.mark.parametrize(
    ("task", "metrics"),
    [
        ("none", []),
        ("classification", ["accuracy", "macro_f1"]),
        ("generation", ["chrf", "exact_match", "rouge_l"]),
        ("extraction", ["exact_match", "span_f1"]),
    ],
)
def test_each_task_brings_its_metrics(composed, task, metrics):
    evaluation = composed(f"evaluation/task={task}")
    assert isinstance(evaluation, Evaluation)
    assert sorted(evaluation.task.metrics) == metrics
    assert set(metrics) <= set(evaluation.reductions())


def test_a_metric_is_added_and_taken_away_on_the_command_line(composed):
    evaluation = composed(
        "evaluation/task=generation",
        "~evaluation/metric@evaluation.task.metrics.chrf",
        "+evaluation/metric@evaluation.task.metrics.chrf_plus_plus=chrf",
        "evaluation.task.metrics.chrf_plus_plus.word_order=2",
    )
    assert sorted(evaluation.task.metrics) == ["chrf_plus_plus", "exact_match", "rouge_l"]
    assert evaluation.task.metrics["chrf_plus_plus"].counter.word_order == 2


def test_forgetting_is_measured_by_default_and_on_another_set_when_asked(composed, tmp_path):
    evaluation = composed()
    assert evaluation.general_examples > 0
    assert next(iter(evaluation.general))["text"]
    (tmp_path / "mine.txt").write_text("The mill stands by the river, and the miller sings.")
    other = composed("data@evaluation.general=text", f"evaluation.general.file={tmp_path / 'mine.txt'}")
    assert [example["text"] for example in other.general] == ["The mill stands by the river, and the miller sings."]
