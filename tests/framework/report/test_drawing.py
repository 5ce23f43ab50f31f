"""Where the ink goes, and how figures read."""

from __future__ import annotations

import math

import numpy as np
import pytest

from luthier.contracts.scores import Score
from luthier.reporting import chart, figures
from luthier.reporting.curves import is_noisy, smoothed, thinned
from luthier.reporting.record import ScoreComparison
from luthier.reporting.whiskers import MARGIN, WIDTH, whiskers


def test_a_curve_fills_its_frame_between_round_ticks():
    drawn = chart.chart({"loss": [(1, 3.9), (50, 2.0), (100, 1.1)]})
    (line,) = drawn.lines
    assert line.path.startswith(f"M{chart.LEFT:.1f} ")
    assert f"L{chart.RIGHT:.1f} " in line.path
    assert [label for _, label in drawn.y_ticks] == ["0", "1", "2", "3", "4"]
    assert [label for _, label in drawn.x_ticks] == ["20", "40", "60", "80", "100"]
    assert drawn.y_ticks[0][0] == chart.BOTTOM
    assert drawn.y_ticks[-1][0] == chart.TOP


def test_a_value_that_is_not_finite_is_a_gap_and_is_told():
    drawn = chart.chart({"loss": [(1, 3.0), (2, 2.0), (3, None), (4, 2.0), (5, 1.0)]})
    assert drawn.lines[0].path.count("M") == 2
    assert "1 values were not finite" in drawn.sentence
    assert chart.charts({"loss": [(1, None), (2, None)]}) == []


def test_one_point_and_a_constant_can_be_drawn():
    for points in ([(7, 2.5)], [(1, 0.0), (2, 0.0)], [(1, -3.0), (9, -3.0)]):
        (drawn,) = chart.charts({"x": points})
        assert drawn.lines[0].dots
        assert not any(math.isnan(y) for _, y in drawn.lines[0].dots)


def test_small_numbers_keep_their_power_of_ten():
    drawn = chart.chart({"learning_rate": [(1, 0.0), (100, 1e-4)]})
    assert [label for _, label in drawn.y_ticks] == ["0", "2.5e−5", "5e−5", "7.5e−5", "1e−4"]


def test_validation_joins_the_training_loss_and_the_known_come_first():
    points = [(1, 1.0), (2, 2.0)]
    drawn = chart.charts({"other": points, "validation_loss": points, "loss": points, "learning_rate": points})
    assert [each.title for each in drawn] == ["training loss", "learning rate", "other"]
    assert [line.name for line in drawn[0].lines] == ["training loss", "validation loss"]


def test_only_noise_is_smoothed_and_the_average_does_not_lag():
    slope = [(step, step / 100) for step in range(300)]
    noise = np.random.default_rng(0).normal(0, 0.3, 300)
    noisy = [(step, value + float(extra)) for (step, value), extra in zip(slope, noise, strict=True)]
    assert not is_noisy(slope)
    assert is_noisy(noisy)
    errors = [average - value for (_, average), (_, value) in zip(smoothed(noisy), slope, strict=True)]
    assert abs(sum(errors[50:250]) / 200) < 0.03


def test_thinning_keeps_the_last_step_and_the_mean():
    points = [(step, float(step % 2)) for step in range(1, 10_001)]
    fewer = thinned(points, 100)
    assert len(fewer) == 100
    assert fewer[-1] == (10_000, 0.5)
    assert thinned(points[:5]) == points[:5]


def test_whiskers_share_one_scale():
    before, after = whiskers(ScoreComparison(name="x", before=Score(2, 1, 3, 9), after=Score(4, 3, 5, 9)))
    assert (before.low, after.high) == (MARGIN, WIDTH - MARGIN)
    assert before.high == after.low == WIDTH / 2
    (alone,) = whiskers(ScoreComparison(name="x", after=Score(1, 1, 1, 9)))
    assert alone.value == WIDTH / 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.8571, "0.857"),
        (-0.5, "−0.500"),
        (67.61, "67.61"),
        (875.53, "875.5"),
        (34377.2, "34,377"),
        (-70_485_452.0, "−7.05e+07"),
        (0.00012, "0.00012"),
        (0, "0.000"),
    ],
)
def test_numbers_keep_three_digits(value, text):
    assert figures.format_number(value) == text


def test_units_read_as_people_say_them():
    assert [figures.duration(seconds) for seconds in (4.21, 59.4, 372.4, 7500)] == [
        "4.2 s",
        "59 s",
        "6 min 12 s",
        "2 h 05 min",
    ]
    amounts = [0, 512, 5 << 20, 451 << 20, 3 << 30]
    assert [figures.format_size(amount) for amount in amounts] == [
        "0 B",
        "512 B",
        "5.0 MiB",
        "451 MiB",
        "3.0 GiB",
    ]
    assert [figures.share(part, 1000) for part in (0, 31, 540, 999, 1000)] == [
        "0 %",
        "3.10 %",
        "54 %",
        "99.90 %",
        "100 %",
    ]
    assert figures.share(1, 10**9) == "<0.01 %"
    assert figures.title("hard/macro_f1") == "macro-F1 (hard)"
