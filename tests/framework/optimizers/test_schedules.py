from __future__ import annotations

import math

import pytest

from luthier.training.optimizers.schedules import Constant, Cosine, Linear, Schedule, WarmupStableDecay


def factors(schedule: Schedule, total: int) -> list[float]:
    return [schedule(step, total) for step in range(total + 1)]


def test_every_schedule_warms_up_along_a_line_and_never_wastes_a_step() -> None:
    for schedule in (Constant(warmup=0.3), Cosine(warmup=0.3), Linear(warmup=0.3), WarmupStableDecay(warmup=0.3)):
        assert factors(schedule, 10)[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_constant_stays() -> None:
    assert factors(Constant(warmup=0.0), 3) == [1.0] * 4


def test_linear_falls_to_its_final_value() -> None:
    assert factors(Linear(warmup=0.0, final=0.2), 4) == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])


def test_cosine_falls_to_its_final_value() -> None:
    expected = [0.1 + 0.9 * (1 + math.cos(math.pi * p)) / 2 for p in (0, 0.25, 0.5, 0.75, 1)]
    assert factors(Cosine(warmup=0.0, final=0.1), 4) == pytest.approx(expected)
    assert expected[2] == pytest.approx(0.55)


def test_warmup_stable_decay_stays_and_then_falls() -> None:
    schedule = WarmupStableDecay(warmup=0.0, decay=0.4, final=0.0)
    assert factors(schedule, 10) == pytest.approx([1.0] * 7 + [0.75, 0.5, 0.25, 0.0])


def test_a_run_of_one_step_and_a_step_too_many_are_no_trouble() -> None:
    for schedule in (Constant(), Cosine(), Linear(), WarmupStableDecay()):
        assert schedule(0, 1) == 1.0
        assert 0.0 <= schedule(7, 5) <= 1.0
