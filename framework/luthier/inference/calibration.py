"""Calibration of a classifier on held-out examples: a temperature, and the scores of split conformal prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.contracts.heads import Problem
from luthier.errors import RecipeError

MOST = 4000
"""Scores that are kept; of more examples a sample by seed."""
LARGEST = 5.0
"""The largest |log temperature| that is looked at."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A temperature (Guo et al., 2017), and how far held-out examples were from their true label.

    Half of the examples choose the temperature and the other half are scored with it, so that the scores are of texts
    on which nothing was chosen. A score is 1 - p(true label) (least ambiguous sets, Sadinle et al., 2019), or the
    absolute error of a regression. A set that holds all labels whose score is at most the k-th smallest of n, with
    k = ⌈(n + 1)(1 - error)⌉, lacks the true one with probability `error` at most, where texts are drawn like these.
    """

    temperature: float
    """What outputs are divided by."""
    scores: tuple[float, ...]
    """In ascending order."""

    @classmethod
    def of(
        cls, outputs: NDArray[np.floating[Any]], targets: NDArray[np.floating[Any]], problem: Problem
    ) -> Calibration:
        """Of outputs [n, labels] and true labels, their numbers [n], or of a regression the true values [n]."""
        if problem == "regression":
            return cls(1.0, _ascending(np.abs(np.asarray(outputs, np.float64)[:, 0] - targets)))
        order = np.random.default_rng(0).permutation(len(outputs))  # the data may be in order of its labels
        outputs, numbers = np.asarray(outputs, np.float64)[order], targets[order].astype(int)
        chooses, scored = slice(0, len(order) // 2), slice(len(order) // 2, None)
        temperature = best_temperature(outputs[chooses], numbers[chooses])
        shares = softmax(outputs[scored] / temperature)
        return cls(temperature, _ascending(1 - shares[np.arange(len(shares)), numbers[scored]]))

    def threshold(self, error: float) -> float:
        """The largest score that cannot be excluded; infinite where too few examples were scored for this error.

        RecipeError for an error that is no probability.
        """
        if not 0 < error < 1:
            raise RecipeError(f"error is {error}.", hint="Give the share of texts whose label may be missing: 0.05.")
        place = math.ceil((len(self.scores) + 1) * (1 - error) - 1e-9)
        return self.scores[place - 1] if place <= len(self.scores) else math.inf

    def as_json(self) -> dict[str, Any]:
        """For a manifest."""
        return {"temperature": self.temperature, "scores": list(self.scores)}

    @classmethod
    def from_json(cls, stated: dict[str, Any]) -> Calibration:
        """What `as_json` gave."""
        return cls(float(stated["temperature"]), tuple(map(float, stated["scores"])))


def best_temperature(outputs: NDArray[np.float64], numbers: NDArray[np.int_]) -> float:
    """The temperature of the smallest cross-entropy, which is convex in its reciprocal; 1 without examples."""
    if not len(outputs):
        return 1.0
    low, high, golden = -LARGEST, LARGEST, (math.sqrt(5) - 1) / 2

    def loss(logarithm: float) -> float:
        scaled = outputs / math.exp(logarithm)
        return float((np.logaddexp.reduce(scaled, axis=1) - scaled[np.arange(len(scaled)), numbers]).mean())

    while high - low > 1e-4:
        one, two = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, two) if loss(one) <= loss(two) else (one, high)
    return math.exp((low + high) / 2)


def softmax(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Along the last axis."""
    powers = np.exp(outputs - outputs.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def _ascending(scores: Sequence[float] | NDArray[np.float64]) -> tuple[float, ...]:
    found = np.asarray(scores, np.float64)
    if len(found) > MOST:
        found = np.random.default_rng(0).choice(found, MOST, replace=False)
    return tuple(np.sort(found).tolist())
