"""Temperature and conformal sets: what is promised holds on texts that were not seen, re-split after re-split."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from luthier.contracts.heads import Head
from luthier.errors import RecipeError
from luthier.inference.calibration import Calibration, best_temperature, softmax
from luthier.inference.classified import Classified, classified
from luthier_heads.sections import coverage, interval_coverage

SPLITS = 200
LABELS = ("a", "b", "c", "d")


def texts(count: int, seed: int, sharpness: float = 3.0) -> tuple[Any, Any]:
    """Outputs that are `sharpness` times too sure, and labels drawn by the true probabilities."""
    random = np.random.default_rng(seed)
    outputs = random.normal(size=(count, len(LABELS))) * 1.5
    shares = softmax(outputs)
    numbers = np.array([random.choice(len(LABELS), p=row) for row in shares])
    return outputs * sharpness, numbers


def network(problem: Any = "single_label_classification", labels: tuple[str, ...] = LABELS) -> Any:
    config = SimpleNamespace()
    Head(labels, problem).write(config)
    return SimpleNamespace(config=config)


@pytest.mark.parametrize("error", [0.05, 0.2])
def test_coverage_is_what_was_promised_over_200_splits(error: float) -> None:
    outputs, numbers = texts(600, seed=1)
    held, sizes = [], []
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(600)
        seen, new = order[:300], order[300:]
        calibration = Calibration.of(outputs[seen], numbers[seen], "single_label_classification")
        answers = classified(outputs[new], network(), calibration, error)
        held.append(np.mean([LABELS[n] in (one.labels or ()) for one, n in zip(answers, numbers[new], strict=True)]))
        sizes.append(np.mean([len(one.labels or ()) for one in answers]))
    spread = np.std(held) / SPLITS**0.5
    assert 1 - error - 4 * spread - 0.005 <= np.mean(held) <= 1 - error + 0.02  # no less, and hardly more
    assert np.mean(sizes) < len(LABELS)


def test_intervals_of_a_regression_hold_what_was_promised_over_200_splits() -> None:
    random = np.random.default_rng(0)
    outputs = random.normal(size=(400, 1))
    values = outputs[:, 0] + random.standard_t(3, size=400)
    held = []
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(400)
        calibration = Calibration.of(outputs[order[:200]], values[order[:200]], "regression")
        answers = classified(outputs[order[200:]], network("regression", ("stars",)), calibration, 0.1)
        held.append(
            np.mean([a.interval[0] <= v <= a.interval[1] for a, v in zip(answers, values[order[200:]], strict=True)])
        )
    assert np.mean(held) == pytest.approx(0.9, abs=0.015)


def test_the_temperature_takes_back_what_the_outputs_are_too_sure() -> None:
    outputs, numbers = texts(4000, seed=2, sharpness=3.0)
    assert best_temperature(outputs, numbers) == pytest.approx(3.0, rel=0.1)
    assert best_temperature(outputs[:0], numbers[:0]) == 1.0


def test_too_few_examples_exclude_nothing() -> None:
    outputs, numbers = texts(20, seed=3)
    calibration = Calibration.of(outputs, numbers, "single_label_classification")
    assert len(calibration.scores) == 10
    (answer,) = classified(outputs[:1], network(), calibration, 0.05)
    assert set(answer.labels or ()) == set(LABELS)
    assert answer.abstains
    assert calibration.threshold(0.1) == calibration.scores[9]


def test_calibration_travels_as_json() -> None:
    outputs, numbers = texts(5 * 4000, seed=4)
    calibration = Calibration.of(outputs, numbers, "single_label_classification")
    assert len(calibration.scores) == 4000
    assert list(calibration.scores) == sorted(calibration.scores)
    assert Calibration.from_json(calibration.as_json()) == calibration


@pytest.mark.parametrize("error", [0.0, 1.0, -1, float("nan")])
def test_an_error_is_a_share(error: float) -> None:
    with pytest.raises(RecipeError, match="error is"):
        Calibration(1.0, (0.1,)).threshold(error)


def test_without_a_calibration_nothing_is_promised() -> None:
    with pytest.raises(RecipeError, match="held out no validation split"):
        classified(np.zeros((1, 4)), network(), None, 0.1)
    with pytest.raises(RecipeError, match="several labels"):
        classified(np.zeros((1, 4)), network("multi_label_classification"), Calibration(1.0, (0.5,)), 0.1)
    several = classified(np.array([[3.0, -1.0, 2.0, -4.0]]), network("multi_label_classification"), None, None)
    assert several[0].label == "a, c"
    assert not Classified("a").abstains


def test_the_report_says_what_was_promised_and_what_was_measured() -> None:
    outputs, numbers = texts(2000, seed=5)
    calibration = Calibration.of(outputs[:1000], numbers[:1000], "single_label_classification")
    shares = softmax(outputs[1000:] / calibration.temperature)
    section = coverage(shares, numbers[1000:], LABELS, calibration)
    assert section.columns[1:] == ["promised 90%", "promised 95%"]
    assert [row[0].split(" ")[0] for row in section.rows] == ["all", *LABELS, "answers"]
    assert [float(cell.rstrip("%")) for cell in section.rows[0][1:]] == pytest.approx([90, 95], abs=3)
    spread = interval_coverage(np.zeros(50), np.linspace(-1, 1, 50), Calibration(1.0, tuple(np.linspace(0, 1, 100))))
    assert spread.rows[0] == ["90%", "88.0%", "± 0.9091"]
