"""A confidence sequence is right after every example, and says the same as the test that it is made of."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from luthier.evaluation.confidence_sequence import bounds, excludes, log_wealth


def three_valued(mean, rng, shape, differ=0.3):
    """Paired differences of right and wrong answers: -1, 0 or 1, with this mean."""
    drawn = rng.random(shape)
    return np.where(drawn < (differ + mean) / 2, 1.0, np.where(drawn < differ, -1.0, 0.0))


@pytest.mark.parametrize("mean", [-0.1, 0.0, 0.2])
def test_it_misses_the_truth_anywhere_on_the_way_no_more_often_than_it_says(mean):
    found = three_valued(mean, np.random.default_rng(1), (2000, 300))
    assert excludes(found, mean, 0.05).mean() <= 0.05
    assert excludes(-found, -mean, 0.05).mean() <= 0.05


def test_real_valued_differences_too():
    rng = np.random.default_rng(2)
    found = rng.beta(0.5, 0.5, (2000, 200)) - rng.beta(2, 2, (2000, 200))
    assert excludes(found, 0.0, 0.05).mean() <= 0.05


def test_it_excludes_what_is_far_from_the_truth():
    found = three_valued(-0.2, np.random.default_rng(3), (500, 256))
    assert excludes(found, 0.0, 0.05).mean() > 0.95
    assert excludes(found, 0.05, 0.05).mean() > 0.99


def test_the_bounds_are_where_the_test_begins_to_exclude():
    found = three_valued(0.1, np.random.default_rng(4), 200)
    low, high = bounds(found, 0.01)
    assert -1 < low < found.mean() < high < 1
    assert excludes(found, high + 1e-6, 0.01)
    assert not excludes(found, high - 1e-6, 0.01)
    assert excludes(-found, -low + 1e-6, 0.01)


def test_it_only_narrows():
    found = three_valued(0.0, np.random.default_rng(5), 400)
    reached = [bounds(found[:n], 0.05) for n in (1, 10, 100, 400)]
    assert all(then[0] <= now[0] and now[1] <= then[1] for then, now in pairwise(reached))


def test_what_is_missing_is_left_out_and_nothing_says_nothing():
    found = three_valued(-0.3, np.random.default_rng(6), 50)
    gaps = np.insert(found, [0, 10, 50], np.nan)
    assert log_wealth(gaps, 0.0) == pytest.approx(log_wealth(found, 0.0))
    assert log_wealth(np.full(3, np.nan), 0.0) == pytest.approx(0.0)
    assert bounds(np.array([]), 0.05) == pytest.approx((-1, 1))
    low, high = bounds(np.array([1.0]), 0.05)
    assert low < 0
    assert high == pytest.approx(1.0)
