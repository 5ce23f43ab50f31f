"""The infinite schedule, computed by hand, and the rate that is suggested."""

from __future__ import annotations

import pytest

from luthier.errors import RecipeError
from luthier_cpt.peak import customary
from luthier_cpt.schedules import Infinite


def test_it_warms_up_cools_down_stays_and_anneals():
    rate = Infinite(warmup=0.1, cooldown=0.5, constant=0.4, anneal=0.2, final=0.1)
    # of 1,000 steps: 100 to warm up, then 900, of which 450 cool down, 270 stay, 180 anneal
    assert rate(0, 1000) == pytest.approx(1 / 101)
    assert rate(100, 1000) == pytest.approx(1.0)
    assert rate(325, 1000) == pytest.approx(0.7)  # half of the way down: (1 + 0.4) / 2
    assert rate(550, 1000) == pytest.approx(0.4)
    assert rate(700, 1000) == pytest.approx(0.4)
    assert rate(910, 1000) == pytest.approx(0.2)  # half of the anneal: √(0.4 · 0.1)
    assert rate(1000, 1000) == pytest.approx(0.1)


def test_until_the_anneal_it_does_not_matter_how_long_it_shall_last():
    rate = Infinite(warmup=0.0, cooldown=0.0, constant=0.4, anneal=0.1, final=0.1)
    assert [rate(step, 1000) for step in range(1, 800)] == [rate(step, 5000) for step in range(1, 800)]


@pytest.mark.parametrize("wrong", [{"final": 0.0}, {"final": 0.9}, {"constant": 1.5}, {"cooldown": 0.9, "anneal": 0.2}])
def test_what_cannot_be_a_schedule_is_refused(wrong):
    with pytest.raises(RecipeError):
        Infinite(**wrong)


def test_the_customary_peak_is_the_published_one_and_between_them_on_a_line():
    assert customary(125e6) == pytest.approx(6e-4)
    assert customary(1.3e9) == pytest.approx(2e-4)
    assert customary((125e6 * 350e6) ** 0.5) == pytest.approx((6e-4 * 3e-4) ** 0.5)
    assert customary(1e6) == pytest.approx(6e-4)
    assert customary(1e13) == pytest.approx(6e-5)
