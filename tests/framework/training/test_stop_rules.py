"""When held-out data or the training loss ends a training, and which result is the best."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.records.validations import ValidationResult, best_of, gain
from luthier.training.stopping import AVERAGED, EarlyStopping, TrainingLoss

VALUES = st.lists(st.floats(-5, 5, allow_nan=False), min_size=1, max_size=20)
BETTER = st.sampled_from(["higher", "lower"])


def results(values, better="lower", monitor="accuracy", **of_each):
    return [
        ValidationResult(step=step, monitor=monitor, value=value, better=better, kept=True, **of_each)
        for step, value in enumerate(values, 1)
    ]


def loss(*values):
    training = TrainingLoss()
    for value in values:
        training.add(value)
    return training


def ends(stop, values, better="lower"):
    """The number of the validation that ends the training; None where it goes on."""
    every = results(values, better)
    return next((n for n in range(1, len(every) + 1) if stop.reason(every[:n], loss())), None)


@given(VALUES, BETTER, st.integers(1, 6), st.sampled_from([0.0, 0.25, 1.0]))
def test_patience_counts_validations_since_the_last_one_that_was_better_by_enough(values, better, patience, min_delta):
    best, since = None, 0
    expected = None
    for number, value in enumerate(values, 1):
        if best is None or gain(value, best, better) > min_delta:
            best, since = value, 0
        else:
            since += 1
        if since == patience and expected is None:
            expected = number
    assert ends(EarlyStopping(patience=patience, min_delta=min_delta), values, better) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_ends_the_training_and_is_never_the_best(value):
    assert ends(EarlyStopping(patience=5), [1.0, 2.0, value]) == 3
    best = best_of(results([value, 3.0, value, 2.0, value]))
    assert best is not None
    assert best.value == 2.0
    assert best_of(results([value])) is None


@given(VALUES, BETTER)
def test_the_best_is_the_earliest_of_the_best_values(values, better):
    best = best_of(results(values, better))
    extreme = max(values) if better == "higher" else min(values)
    assert best is not None
    assert best.step == values.index(extreme) + 1


@given(VALUES, BETTER)
def test_the_best_so_far_only_ever_gets_better(values, better):
    every = results(values, better)
    so_far = [best_of(every[:number]).value for number in range(1, len(every) + 1)]
    assert all(gain(after, before, better) >= 0 for before, after in pairwise(so_far))


def test_only_results_of_the_value_that_is_monitored_now_are_compared():
    before, now = results([0.1], monitor="validation_loss"), results([2.0], monitor="accuracy", better="higher")
    assert not EarlyStopping(patience=1).reason([*before, *now], loss())


def test_a_held_out_loss_far_above_its_lowest_ends_the_training_whatever_is_monitored():
    stop = EarlyStopping(patience=None, divergence=0.5)
    falling = [
        ValidationResult(step=step, monitor="accuracy", value=0.5, better="higher", measured={"validation_loss": value})
        for step, value in enumerate([2.0, 1.0, 1.4, 1.6], 1)
    ]
    assert not stop.reason(falling[:3], loss())
    assert "the held-out loss was 1.6 at step 4, more than 0.5 above its lowest, 1" in stop.reason(falling, loss())


def test_one_hard_batch_does_not_end_a_training():
    stop = EarlyStopping(patience=None, divergence=0.5)
    assert not stop.reason([], loss(*[1.0] * AVERAGED, 5.0))
    assert "the mean training loss of 10 steps was 1.8" in stop.reason([], loss(*[1.0] * AVERAGED, 5.0, 5.0))
    assert not stop.reason([], loss(1.0, 9.0)), "nothing is averaged before there are ten steps"


def test_the_training_loss_is_as_it_was_after_it_is_saved():
    before, after = loss(*[3.0] * 7, *[1.0] * 12, 4.0), TrainingLoss()
    after.load_state_dict(before.state_dict())
    assert (after.mean, after.lowest, after.last) == (before.mean, before.lowest, before.last) == (1.3, 1.0, 4.0)
