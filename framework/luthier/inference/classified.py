"""The answers of a classifier, with what they promise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from luthier.contracts.heads import Head
from luthier.errors import RecipeError
from luthier.inference.calibration import Calibration
from luthier.inference.class_scores import class_probabilities, head_of


@dataclass(frozen=True, slots=True)
class Classified:
    """What a classifier says of one text."""

    label: str
    """The most probable label; of several, all with a probability above one half, joined by commas."""
    probabilities: dict[str, float] = field(default_factory=dict)
    """Of each label; of a regression, the value under its name."""
    labels: tuple[str, ...] | None = None
    """The labels that cannot be excluded at the given error, most probable first; None where none was given."""
    interval: tuple[float, float] | None = None
    """Of a regression: where the value is, but for the given error."""

    @property
    def abstains(self) -> bool:
        """Whether more than one label cannot be excluded."""
        return self.labels is not None and len(self.labels) > 1


def classified(
    outputs: NDArray[np.floating[Any]], network: nn.Module, calibration: Calibration | None, error: float | None
) -> list[Classified]:
    """Outputs [texts, labels] of a network's head as answers; RecipeError for an error without a calibration."""
    head = head_of(network)
    threshold = None if error is None else _threshold(head, calibration, error)
    temperature = 1.0 if calibration is None else calibration.temperature
    shares = class_probabilities(np.asarray(outputs, np.float64) / temperature, head.problem)
    return [_answer(head, row, threshold) for row in shares]


def _threshold(head: Head, calibration: Calibration | None, error: float) -> float:
    if head.problem == "multi_label_classification":
        raise RecipeError(
            "Texts with several labels have no set of labels of which one is missing.",
            hint="Leave out `error`, and read `probabilities`.",
        )
    if calibration is None:
        raise RecipeError(
            "The classifier was not calibrated: its run held out no validation split.",
            hint="Train it with data.splits.validation=0.2.",
        )
    return calibration.threshold(error)


def _answer(head: Head, row: NDArray[np.float64], threshold: float | None) -> Classified:
    named = dict(zip(head.labels, row.tolist(), strict=True))
    if head.problem == "regression":
        value = float(row[0])
        interval = None if threshold is None else (value - threshold, value + threshold)
        return Classified(f"{value:.6g}", named, interval=interval)
    if head.problem == "multi_label_classification":
        return Classified(", ".join(label for label, share in named.items() if share > 0.5), named)
    order = sorted(head.labels, key=lambda label: -named[label])
    if threshold is None:
        return Classified(order[0], named)
    return Classified(order[0], named, (order[0], *(one for one in order[1:] if 1 - named[one] <= threshold)))
