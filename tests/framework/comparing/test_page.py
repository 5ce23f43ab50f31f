"""The report's pictures and words, from results made by hand."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from luthier.evaluation.bootstrap import ratio, row_means
from luthier.evaluation.measurement import Bootstrap, Measurement
from luthier.evaluation.scores import Scores
from luthier.reporting.record import ModelFacts, RunRecord, TrainingFacts
from luthier.workflows.comparison import picture
from luthier.workflows.comparison import words as wording
from luthier.workflows.comparison.lock import ExampleLock
from luthier.workflows.comparison.page import page
from luthier.workflows.comparison.results import Comparison, Result
from luthier.workflows.comparison.terms import Terms

LUCK = np.random.default_rng(0)


def scores(accuracy: float, general: float = 3.0, digest: str = "e") -> Scores:
    right = Measurement(row_means((np.arange(100) < 100 * accuracy).astype(float)), ratio, "higher", digest)
    loss = Measurement(row_means(np.full(20, general)), ratio, "lower", "g")
    return Scores(Bootstrap(resamples=200), {"accuracy": right, "general_loss": loss})


def result(
    name: str, accuracy: float, *, seconds: float | None = None, answer: float = 0.1, digest: str = "e"
) -> Result:
    training = TrainingFacts(steps=4, tokens=1000, seconds=seconds) if seconds is not None else TrainingFacts()
    return Result(
        name,
        [f"recipe={name}"],
        purpose="<script>alert(1)</script>",
        runs=[Path("runs") / name],
        records=[RunRecord(name=name, seconds=9.0, seed=0, training=training, model=ModelFacts(trained=64))],
        before=[scores(0.5, digest=digest)],
        after=[scores(accuracy, 3.0 if seconds is None else 3.5, digest)],
        trained=seconds is not None,
        inference={"answers": 8, "seconds": answer, "first_token": 0.01, "prompt_tokens": 30, "device": "cpu"},
    )


def comparison(*results: Result, score: str = "accuracy") -> Comparison:
    return Comparison(
        "a-vs-b", "luthier compare …", Terms(score, "h", "4 steps"), ExampleLock("test", 100, "abc"), 1, [*results]
    )


@pytest.fixture
def three():
    return comparison(
        result("zero_shot", 0.5), result("lora", 0.9, seconds=60, answer=0.2), result("full", 0.88, seconds=900)
    )


def test_what_was_found_is_said_in_words(three):
    told = wording.sentences(three)
    assert told[0].startswith("lora has the best accuracy: 0.900 (")
    assert any(line.startswith("zero_shot is behind by 0.400 (") for line in told)


def test_close_scores_are_not_distinguished():
    told = wording.sentences(comparison(result("a", 0.9), result("b", 0.9)))
    assert told[1] == "Not distinguishable from it: b."


def test_forgetting_is_told_of_those_that_trained(three):
    assert [wording.forgetting(one) for one in three.finished] == [
        "no weight moved",
        "forgets (+0.500)",
        "forgets (+0.500)",
    ]


def test_a_picture_puts_what_costs_nothing_apart_from_what_costs_much(three):
    drawn, answers = picture.pictures(three)
    at = {point.name: point for point in drawn.points}
    assert at["zero_shot"].x < at["lora"].x < at["full"].x
    assert at["lora"].y < at["full"].y < at["zero_shot"].y  # the best is uppermost
    assert at["lora"].high < at["lora"].y < at["lora"].low
    assert drawn.x_ticks[0][1] == "none"
    assert {point.name: point.standing for point in drawn.points}["lora"] == "best"
    assert answers.x_title == "time of an answer"
    for point in (*drawn.points, *answers.points):
        assert picture.LEFT <= point.x <= picture.RIGHT
        assert picture.TOP - 1 <= point.high <= point.low <= picture.BOTTOM + 1


def test_names_of_points_do_not_lie_on_each_other():
    crowd = comparison(*(result(f"r{n}", 0.9, answer=0.1) for n in range(6)))
    labels = sorted(point.label_y for point in picture.pictures(crowd)[0].points)
    assert min(b - a for a, b in pairwise(labels)) >= picture.CLOSE


def test_the_page_shows_a_failed_contender_and_makes_text_harmless(three):
    three.results.append(Result("broken", ["recipe=broken"], failed="exit code 4: <b>NaN</b>"))
    text = page(three, Path("comparisons") / "a-vs-b")
    assert "<script" not in text
    assert "failed: exit code 4: &lt;b&gt;NaN&lt;/b&gt;" in text
    assert 'href="../../runs/lora/report.html#training"' in text


def test_a_score_of_other_tokens_is_shown_alone_and_not_compared():
    found = comparison(result("a", 0.5), result("b", 0.9, digest="f"))
    assert "accuracy" not in found.standings
    assert "cannot be compared" in wording.sentences(found)[0]
    assert "svg" not in page(found, Path("comparisons/x")).partition("<main>")[2]
    json.dumps(found.as_json())
