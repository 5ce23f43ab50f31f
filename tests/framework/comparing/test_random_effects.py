"""Intervals over seeds and data splits: against SciPy, and how often they hold the truth in simulations."""

from __future__ import annotations

import numpy as np
import pytest

from luthier.evaluation.bootstrap import ratio, row_means
from luthier.evaluation.measurement import Bootstrap, Measurement
from luthier.evaluation.random_effects import of_seeds, student_t, with_splits
from luthier.workflows.comparison import power
from luthier.workflows.comparison.standings import standings

QUICK = Bootstrap(resamples=200)


def measured(values, examples="e"):
    return Measurement(row_means(np.asarray(values, dtype=float)), ratio, "higher", examples)


@pytest.mark.parametrize("freedom", [1, 1.7, 2, 5.5, 30, 1000, 10_000])
@pytest.mark.parametrize("confidence", [0.6, 0.9, 0.95, 0.99])
def test_students_t_is_that_of_scipy(freedom, confidence):
    scipy_stats = pytest.importorskip("scipy.stats")
    assert student_t(confidence, freedom) == pytest.approx(scipy_stats.t.ppf((1 + confidence) / 2, freedom), rel=2e-3)


def _held(seeds, *, luck, examples=80, repeats=400):
    """How often the interval of the difference of two contenders holds 0.1, the true one, where both are random."""
    random, held = np.random.default_rng(0), 0
    for _ in range(repeats):
        hard = random.normal(0, 0.4, examples)
        runs = {
            name: [
                measured(true + random.normal(0, luck) + hard + random.normal(0, 0.3, examples)) for _ in range(seeds)
            ]
            for name, true in {"a": 0.5, "b": 0.6}.items()
        }
        change = standings("accuracy", runs, QUICK).differences["a", "b"].change
        held += change.low <= 0.1 <= change.high
    return held / repeats


@pytest.mark.parametrize(("seeds", "luck"), [(2, 0.05), (3, 0.1), (5, 0.05), (3, 0.0)])
def test_an_interval_over_seeds_and_examples_holds_the_truth_as_often_as_it_says(seeds, luck):
    assert 0.92 <= _held(seeds, luck=luck) <= 0.995


def test_one_seed_leaves_the_luck_of_training_out_and_then_the_truth_is_missed():
    assert _held(1, luck=0.1) < 0.8


def test_seeds_that_differ_by_what_examples_explain_do_not_widen_the_interval_much():
    random = np.random.default_rng(0)
    values = random.normal(0, 1, (3, 2000))
    drawn = np.stack([[random.choice(one, 2000).mean() for _ in range(200)] for one in values])
    component = of_seeds(values.mean(1), drawn)
    assert component.also_in_examples == pytest.approx(1 / 2000 / 3, rel=0.3)


def test_an_interval_over_folds_holds_the_accuracy_of_a_learner_as_often_as_it_says():
    """A learner of a threshold, cross-validated on each of 400 data sets of 100 examples."""
    random, folds, held, values = np.random.default_rng(1), 5, 0, []
    for _ in range(400):
        side = random.integers(2, size=100)
        place = side + random.normal(0, 1, 100)
        scores = []
        for fold in range(folds):
            test = np.arange(100) % folds == fold
            cut = (place[~test & (side == 1)].mean() + place[~test & (side == 0)].mean()) / 2
            scores.append(((place[test] > cut) == (side[test] == 1)).mean())
        values.append(np.array(scores))
    truth = np.mean(values)
    for scores in values:
        low, high = with_splits(scores, held_out=0.25, confidence=0.95)
        held += low <= truth <= high
    assert held / 400 >= 0.93


def test_a_difference_over_folds_is_paired_within_each():
    random = np.random.default_rng(2)
    level = {f"fold {k}": random.random() for k in range(5)}
    a = [measured(np.full(20, one), name) for name, one in level.items()]
    b = [measured(np.full(20, one + 0.1 + 0.001 * k), name) for k, (name, one) in enumerate(level.items())]
    found = standings("accuracy", {"a": a, "b": b}, QUICK, held_out=0.25)
    change = found.differences["a", "b"].change
    assert change.value == pytest.approx(0.102)
    assert 0.09 < change.low < 0.102 < change.high < 0.12
    assert change.count == 100
    assert found.differences["a", "b"].verdict == "better"


def test_folds_of_other_examples_are_not_paired():
    a = [measured([0, 1], "one"), measured([0, 1], "two")]
    assert standings("accuracy", {"a": a, "b": a[::-1]}, QUICK) is None


def test_the_power_that_is_said_before_the_start_is_that_of_the_verdicts():
    """Two contenders that differ as assumed, by the difference that is said to be seen in 80 % of comparisons."""
    examples, seeds = 300, 4
    difference = power.detectable(examples, seeds, confidence=0.95, deviation=0.3**0.5, luck=power.LUCK)
    random, seen = np.random.default_rng(3), 0
    for _ in range(300):
        draw = random.random(examples)
        better, worse = draw < (0.3 + difference) / 2, draw > 1 - (0.3 - difference) / 2
        base = random.random(examples) < 0.5
        a = np.where(better, 0.0, np.where(worse, 1.0, base))
        b = np.where(better, 1.0, np.where(worse, 0.0, base))
        runs = {
            name: [measured(right + random.normal(0, power.LUCK)) for _ in range(seeds)]
            for name, right in {"a": a, "b": b}.items()
        }
        seen += standings("accuracy", runs, QUICK).differences["a", "b"].verdict == "better"
    assert 0.7 <= seen / 300 <= 0.9


def test_power_grows_with_examples_and_seeds_and_says_what_one_seed_leaves_out():
    def said(*numbers, **words):
        return power.sentence(*numbers, **{"bounded": True, "confidence": 0.95, **words})

    many = power.detectable(400, 5, confidence=0.95, deviation=0.5, luck=0.01)
    assert many < power.detectable(100, 5, confidence=0.95, deviation=0.5, luck=0.01)
    assert many < power.detectable(400, 2, confidence=0.95, deviation=0.5, luck=0.01)
    assert "one seed does not show the luck of training" in said(100, 1, 1, 0.1)
    assert "seed to seed" in said(100, 3, 1, 0.1)
    assert "standard deviations" in said(100, 3, 1, 0.1, bounded=False)
    assert "one seed" not in said(100, 1, 5, 0.25)
