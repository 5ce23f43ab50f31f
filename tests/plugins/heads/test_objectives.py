"""The losses of classifiers are those of torch, transformers and their papers, on the same numbers."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics.functional as reference

from luthier.errors import DataError, RecipeError
from luthier.evaluation.metrics.label_scores import Auroc, AveragePrecision, CalibrationError
from luthier.evaluation.metrics.mcc import Mcc
from luthier.evaluation.metrics.metric import Attempt
from luthier_heads.multi_label import BinaryCrossEntropy, macro_f1, micro_f1
from luthier_heads.regression import SquaredError
from luthier_heads.single_label import CrossEntropy, Focal, Ordinal

LABELS = ["a", "b", "c"]
COUNTS = {"a": 6, "b": 3, "c": 1}


@pytest.fixture
def outputs() -> torch.Tensor:
    return torch.randn(12, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def numbers() -> torch.Tensor:
    return torch.tensor([0, 1, 2, 0, 0, 1, 0, 2, 1, 0, 0, 0])


def mean(objective: Any, outputs: torch.Tensor, targets: dict[str, torch.Tensor]) -> float:
    objective.settle(LABELS, COUNTS)
    losses, weights = objective.losses(outputs, targets, LABELS)
    return float(losses.sum() / weights.sum())


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", ["none", "balanced", {"a": 1.0, "b": 2.0, "c": 0.5}])
def test_cross_entropy_is_torch_s(outputs: Any, numbers: Any, weights: Any, smoothing: float) -> None:
    given = {"none": None, "balanced": torch.tensor([10 / 18, 10 / 9, 10 / 3])}
    weight = torch.tensor(list(weights.values())) if isinstance(weights, dict) else given[weights]
    theirs = torch.nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing)(outputs, numbers)
    objective = CrossEntropy(class_weights=weights, label_smoothing=smoothing)
    assert mean(objective, outputs, {"label": numbers.float()}) == pytest.approx(float(theirs), abs=1e-6)


def test_focal_without_focus_is_cross_entropy_and_with_it_counts_the_easy_less(outputs: Any, numbers: Any) -> None:
    targets = {"label": numbers.float()}
    assert mean(Focal(gamma=0), outputs, targets) == pytest.approx(mean(CrossEntropy(), outputs, targets), abs=1e-6)
    p = torch.softmax(outputs, -1)[torch.arange(12), numbers]
    assert mean(Focal(gamma=2), outputs, targets) == pytest.approx(float((-((1 - p) ** 2) * p.log()).mean()), abs=1e-6)


def test_ordinal_targets_fall_off_with_distance() -> None:
    outputs = torch.tensor([[1.0, 0.0, -1.0]])
    soft = torch.softmax(torch.tensor([-2.0, 0.0, -2.0]), 0)
    expected = -(soft * torch.log_softmax(outputs[0], 0)).sum()
    assert mean(Ordinal(sharpness=2.0), outputs, {"label": torch.tensor([1.0])}) == pytest.approx(float(expected))
    assert Ordinal().names({"10": 1, "9": 1, "-1": 1}, None) == ["-1", "9", "10"]
    with pytest.raises(RecipeError, match="no numbers"):
        Ordinal().names({"low": 1, "high": 1}, None)


def test_several_labels_are_learnt_as_transformers_learns_them(outputs: Any) -> None:
    true = torch.randint(0, 2, (12, 3), generator=torch.Generator().manual_seed(1)).float()
    targets = {f"label {number}": true[:, number] for number in range(3)}
    theirs = float(torch.nn.BCEWithLogitsLoss()(outputs, true))
    assert mean(BinaryCrossEntropy(), outputs, targets) == pytest.approx(theirs, abs=1e-6)
    counts = BinaryCrossEntropy().statistics(outputs, targets)["micro_f1"].sum(0).double().numpy()
    said = (outputs > 0).int()
    for ours, average in ((micro_f1, "micro"), (macro_f1, "macro")):
        known = reference.f1_score(said, true.int(), task="multilabel", num_labels=3, average=average)
        assert float(ours(counts)) == pytest.approx(float(known), abs=1e-6)


def test_a_number_is_learnt_by_its_square() -> None:
    outputs, y = torch.tensor([[1.0], [3.0]]), torch.tensor([0.0, 5.0])
    assert mean(SquaredError(), outputs, {"value": y}) == pytest.approx(float(torch.nn.MSELoss()(outputs[:, 0], y)))
    with pytest.raises(DataError):
        SquaredError().target({"score": "many"}, ["score"])


@pytest.mark.parametrize(
    ("weights", "message"),
    [({"a": 1.0}, "has no weight"), ({"a": 1.0, "b": 1.0, "c": 0.0}, "not above 0"), ({"x": 1.0}, "label 'x'")],
)
def test_weights_are_those_of_all_labels(weights: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        CrossEntropy(class_weights=weights).settle(LABELS, COUNTS)


def test_a_label_without_examples_has_no_balanced_weight() -> None:
    with pytest.raises(RecipeError, match="No training example has the label 'd'"):
        CrossEntropy(class_weights="balanced").settle([*LABELS, "d"], COUNTS)


@pytest.fixture
def attempts() -> SimpleNamespace:
    random = np.random.default_rng(0)
    shares, true = random.dirichlet([0.7] * 3, 300), random.integers(0, 3, 300)
    made = [
        Attempt("", LABELS[row.argmax()], LABELS[one], {}, dict(zip(LABELS, row.tolist(), strict=True)))
        for row, one in zip(shares, true, strict=True)
    ]
    return SimpleNamespace(made=made, shares=torch.tensor(shares), true=torch.tensor(true))


def value(metric: Any, attempts: Any) -> float:
    return float(metric.reduce(metric.statistics(attempts).sum(0)))


def test_metrics_of_labels_are_those_of_torchmetrics(attempts: Any) -> None:
    of = {"task": "multiclass", "num_classes": 3}
    odds = torch.logit(attempts.shares, eps=1e-12).clamp(-8, 8)
    stepped = torch.floor((odds + 8) * 8).clamp(max=127) / 128  # what is told apart
    for metric, function in ((Auroc(), reference.auroc), (AveragePrecision(), reference.average_precision)):
        exact = sum(
            float(function(stepped[:, label], (attempts.true == label).int(), task="binary")) for label in range(3)
        )
        assert value(metric, attempts.made) == pytest.approx(exact / 3, abs=1e-6)
        assert value(metric, attempts.made) == pytest.approx(
            float(function(attempts.shares, attempts.true, **of)), abs=0.01
        )
    known = reference.calibration_error(attempts.shares, attempts.true, n_bins=15, **of)
    assert value(CalibrationError(), attempts.made) == pytest.approx(float(known), abs=1e-5)
    known = reference.matthews_corrcoef(attempts.shares.argmax(1), attempts.true, **of)
    assert value(Mcc(), attempts.made) == pytest.approx(float(known), abs=1e-6)


def test_a_metric_of_probabilities_refuses_answers_without(attempts: Any) -> None:
    with pytest.raises(RecipeError, match="probability of each label"):
        value(Auroc(), [Attempt("", "a", "b")])
    assert math.isnan(value(Auroc(), [one for one in attempts.made if one.reference == "a"]))
