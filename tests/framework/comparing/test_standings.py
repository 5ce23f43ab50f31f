"""Means over seeds, paired differences and their verdicts, by hand and against what is known."""

from __future__ import annotations

import numpy as np
import pytest

from luthier.evaluation.bootstrap import ratio, row_means
from luthier.evaluation.measurement import Bootstrap, Difference, Measurement
from luthier.workflows.comparison.standings import change, standings

BOOTSTRAP = Bootstrap(resamples=2000, confidence=0.95, seed=0)
RIGHT = np.array([1, 1, 0, 0, 1, 0, 1, 1, 0, 1] * 4, dtype=float)


def right(values, *, examples="e", better="higher") -> Measurement:
    return Measurement(row_means(np.asarray(values, dtype=float)), ratio, better, examples)


def test_a_score_is_the_mean_of_its_seeds():
    found = standings("accuracy", {"a": [right(RIGHT), right(1 - RIGHT)], "b": [right(RIGHT)]}, BOOTSTRAP)
    assert found.by_seed == {"a": [pytest.approx(0.6), pytest.approx(0.4)], "b": [pytest.approx(0.6)]}
    assert found.scores["a"].value == pytest.approx(0.5)
    assert found.scores["b"].count == 40


def test_with_one_seed_a_difference_is_the_paired_bootstrap_of_two_runs():
    other = np.roll(RIGHT, 1)
    found = standings("accuracy", {"a": [right(RIGHT)], "b": [right(other)]}, BOOTSTRAP)
    known = Difference.between(right(RIGHT), right(other), BOOTSTRAP)
    assert found.differences["a", "b"].change == known.change
    assert found.differences["a", "b"].verdict == known.verdict
    assert found.scores["b"] == known.after


def test_what_is_right_on_the_same_examples_differs_by_nothing_at_all():
    found = standings("accuracy", {"a": [right(RIGHT)], "b": [right(RIGHT)]}, BOOTSTRAP)
    change = found.differences["a", "b"].change
    assert (change.value, change.low, change.high) == (0, 0, 0)
    assert found.against_best("b") == "not distinguishable"


def test_a_clear_difference_is_told_and_points_both_ways():
    found = standings("accuracy", {"bad": [right(0 * RIGHT)], "good": [right(0 * RIGHT + 1)]}, BOOTSTRAP)
    assert found.best == "good"
    assert (found.against_best("good"), found.against_best("bad")) == ("best", "worse")
    assert found.differences["bad", "good"].verdict == "better"
    assert found.differences["good", "bad"].change.value == -1


def test_of_a_loss_the_lowest_is_best():
    found = standings("loss", {"a": [right(RIGHT, better="lower")], "b": [right(RIGHT + 1, better="lower")]}, BOOTSTRAP)
    assert found.best == "a"
    assert found.against_best("b") == "worse"


def test_luck_of_training_widens_the_interval_of_a_score_and_of_a_difference():
    """Each seed is right on all examples or on none: only the seeds vary."""
    lucky = {"lucky": [right(RIGHT * 0), right(RIGHT * 0 + 1)], "steady": [right(RIGHT * 0), right(RIGHT * 0)]}
    found = standings("accuracy", lucky, BOOTSTRAP, bounded=True)
    assert (found.scores["lucky"].low, found.scores["lucky"].high) == (0, 1)
    assert (found.scores["steady"].low, found.scores["steady"].high) == (0, 0)
    assert found.differences["steady", "lucky"].verdict == "not distinguishable"


def test_two_seeds_that_agree_have_the_interval_of_one():
    one = standings("accuracy", {"a": [right(RIGHT)], "b": [right(1 - RIGHT)]}, BOOTSTRAP)
    two = standings("accuracy", {"a": [right(RIGHT)] * 2, "b": [right(1 - RIGHT)] * 2}, BOOTSTRAP)
    assert one.scores["a"] == two.scores["a"]
    assert one.differences["a", "b"] == two.differences["a", "b"]


def test_other_examples_are_not_paired():
    assert standings("accuracy", {"a": [right(RIGHT)], "b": [right(RIGHT, examples="f")]}, BOOTSTRAP) is None
    assert change([right(RIGHT)], [right(RIGHT, examples="f")], BOOTSTRAP) is None
    assert change([], [], BOOTSTRAP) is None


def test_forgetting_is_the_paired_change_of_each_run_averaged_over_seeds():
    before = [right(RIGHT, better="lower"), right(RIGHT, better="lower")]
    after = [right(RIGHT + 0.1, better="lower"), right(RIGHT + 0.3, better="lower")]
    found = change(before, after, BOOTSTRAP)
    assert found.change.value == pytest.approx(0.2)
    assert found.change.low < 0.1
    assert found.verdict == "not distinguishable"  # two seeds, and the one forgets three times what the other does
    alike = change(before, [right(RIGHT + 0.1, better="lower"), right(RIGHT + 0.102, better="lower")], BOOTSTRAP)
    assert (alike.change.value, alike.verdict) == (pytest.approx(0.101), "worse")


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """200 samples of 100 coin throws with p = 0.7: about 95 % of the intervals hold 0.7."""
    luck, quick = np.random.default_rng(1), Bootstrap(resamples=400)
    scores = [standings("a", {"a": [right(luck.random(100) < 0.7)]}, quick).scores["a"] for _ in range(200)]
    assert 0.90 <= np.mean([score.low <= 0.7 <= score.high for score in scores]) <= 0.98
