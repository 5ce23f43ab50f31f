"""After which steps a training validates: the right ones, and as many as `plan` says."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.errors import RecipeError
from luthier.training.validation_times import ValidationTimes

SHARES = st.decimals(min_value="0.01", max_value="5", places=2).map(float)
TIMES = st.one_of(
    st.just(ValidationTimes()),
    st.integers(1, 40).map(lambda steps: ValidationTimes(steps=steps)),
    SHARES.map(lambda share: ValidationTimes(epochs=share)),
)


def due(times: ValidationTimes, steps: int, of_epoch: int) -> list[int]:
    return [step for step in range(1, steps + 1) if times.after(step, of_epoch)]


@given(TIMES, st.integers(1, 120), st.integers(1, 30))
def test_as_many_validations_are_planned_as_there_are(times, steps, of_epoch):
    assert times.count(steps, of_epoch) == len({*due(times, steps, of_epoch), steps})


@given(SHARES, st.integers(1, 120), st.integers(1, 30))
def test_a_validation_follows_the_step_in_which_a_share_of_an_epoch_is_over(share, steps, of_epoch):
    between = Fraction(str(share)) * of_epoch
    ends = {math.ceil(number * between) for number in range(1, math.floor(steps / between) + 1)}
    assert due(ValidationTimes(epochs=share), steps, of_epoch) == sorted(ends)


@pytest.mark.parametrize(
    ("times", "steps"),
    [
        (ValidationTimes(), [10, 20, 30]),
        (ValidationTimes(steps=7), [7, 14, 21, 28]),
        (ValidationTimes(epochs=0.5), [5, 10, 15, 20, 25, 30]),
        (ValidationTimes(epochs=0.3), [3, 6, 9, 12, 15, 18, 21, 24, 27, 30]),
        (ValidationTimes(epochs=2), [20]),
        (ValidationTimes(epochs=0.01), list(range(1, 31))),
        (ValidationTimes(seconds=5), []),
    ],
    ids=str,
)
def test_of_thirty_steps_in_three_epochs_these_are_followed_by_a_validation(times, steps):
    assert due(times, 30, 10) == steps


@pytest.mark.parametrize(
    "given_times",
    [{"steps": 0}, {"epochs": -1.0}, {"seconds": math.inf}, {"seconds": math.nan}, {"steps": 2, "epochs": 1.0}],
    ids=str,
)
def test_what_is_no_interval_is_refused(given_times):
    with pytest.raises(RecipeError, match=r"trainer\.validate_every"):
        ValidationTimes(**given_times)
