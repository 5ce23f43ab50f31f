from __future__ import annotations

import numpy as np
import pytest

from luthier.errors import RecipeError
from luthier.evaluation import bootstrap
from luthier.evaluation.bootstrap import exponential_ratio, ratio, resampled, row_means
from luthier.evaluation.measurement import Bootstrap, Difference, Measurement


def measured(values, examples="same", better="higher"):
    return Measurement(row_means(np.asarray(values, dtype=float)), ratio, better, examples)


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation():
    values = np.random.default_rng(1).normal(3.0, 2.0, size=2000)
    score = measured(values).score(Bootstrap(resamples=4000))
    width = 1.96 * values.std() / np.sqrt(len(values))
    assert score.value == pytest.approx(values.mean())
    assert score.low == pytest.approx(values.mean() - width, abs=0.1 * width)
    assert score.high == pytest.approx(values.mean() + width, abs=0.1 * width)
    assert score.count == 2000


def test_a_95_percent_interval_holds_the_truth_about_95_times_in_100():
    generator = np.random.default_rng(7)
    held = 0
    for trial in range(300):
        score = measured(generator.random(80) < 0.3).score(Bootstrap(resamples=400, seed=trial))
        held += score.low <= 0.3 <= score.high
    assert 0.90 <= held / 300 <= 0.985


def test_a_perplexity_is_weighted_by_tokens_not_by_examples():
    statistics = np.array([[10.0, 10.0], [90.0, 30.0]])
    score = Measurement(statistics, exponential_ratio, "lower", "").score(Bootstrap())
    assert score.value == pytest.approx(np.exp(100 / 40))
    assert score.low == pytest.approx(np.exp(1))
    assert score.high == pytest.approx(np.exp(3))


def test_the_same_statistics_always_have_the_same_interval():
    values = np.random.default_rng(0).random(50)
    assert measured(values).score(Bootstrap()) == measured(values).score(Bootstrap())
    assert measured(values).score(Bootstrap(seed=1)) != measured(values).score(Bootstrap())


def test_resampling_in_blocks_draws_what_one_block_draws(monkeypatch):
    statistics = row_means(np.random.default_rng(0).random(30))
    (whole,) = resampled([statistics], resamples=100, seed=3)
    monkeypatch.setattr(bootstrap, "BLOCK", 30 * 7)
    (pieces,) = resampled([statistics], resamples=100, seed=3)
    np.testing.assert_allclose(whole, pieces, rtol=1e-12)


def test_pairing_sees_a_small_change_that_two_wide_intervals_hide():
    generator = np.random.default_rng(5)
    before = generator.normal(0, 1, 200)
    after = before + generator.normal(0.05, 0.02, 200)
    difference = Difference.between(measured(before), measured(after), Bootstrap())
    assert difference.before.high > difference.after.low
    assert difference.verdict == "better"
    assert difference.change.low > 0
    assert (
        Difference.between(measured(before, better="lower"), measured(after, better="lower"), Bootstrap()).verdict
        == "worse"
    )


def test_noise_is_not_distinguishable():
    generator = np.random.default_rng(11)
    difference = Difference.between(measured(generator.random(100)), measured(generator.random(100)), Bootstrap())
    assert difference.change.low < 0 < difference.change.high
    assert difference.verdict == "not distinguishable"


def test_five_unanimous_pairs_are_too_few_and_six_are_enough():
    for count, verdict in ((5, "not distinguishable"), (6, "better")):
        difference = Difference.between(measured([0.0] * count), measured([1.0] * count), Bootstrap())
        assert difference.verdict == verdict


def test_scores_of_different_examples_are_not_compared():
    with pytest.raises(RecipeError, match="accuracy was measured on different examples or tokens"):
        Difference.between(measured([1, 0], "these"), measured([1, 0], "those"), Bootstrap(), name="accuracy")
