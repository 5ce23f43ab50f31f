"""Intervals of means over random effects: examples, training seeds and data splits.

Seeds and examples are crossed: every run of a split is measured on the same examples. The variance of the mean is then
that over examples plus that over seeds, less what both hold (Cornfield & Tukey, 1956; Brennan, Generalizability Theory,
2001, section 5.2), with the degrees of freedom of Satterthwaite (Biometrics, 1946). Splits are folds: they hold out
different examples and share training examples, for which their variance is corrected (Nadeau & Bengio, Machine Learning
52, 2003, equation 9).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi, sqrt

import numpy as np

from luthier.evaluation.bootstrap import Floats, interval

_POINTS = 4001
ROUNDING = 1e-9
"""A share of the variance that is none."""
_WIDTHS = 12.0
"""Of the normal distribution, beyond which nothing is left to be integrated."""


@dataclass(frozen=True)
class Component:
    """A variance of a mean, and the degrees of freedom with which it is known."""

    variance: float
    freedom: float
    also_in_examples: float = 0.0
    """What of it the variance over examples holds already."""


def of_seeds(values: Floats, resamples: Floats) -> Component:
    """The luck of training in a mean over seeds, whose values are [seeds], drawn over examples [seeds, resamples].

    A single seed shows none.
    """
    seeds = len(values)
    if seeds < 2:
        return Component(0.0, 1.0)
    both = np.var(resamples - resamples.mean(0), axis=1, ddof=1).mean() / (seeds - 1)
    return Component(float(np.var(values, ddof=1)) / seeds, seeds - 1.0, float(both))


def with_seeds(
    value: float, resamples: Floats, seeds: Sequence[Component], *, examples: int, confidence: float
) -> tuple[float, float]:
    """The interval of a mean over seeds, whose values over examples are [resamples]: their percentiles, widened.

    Where seeds show no variance it is that of the bootstrap over examples.
    """
    low, high = interval(resamples, confidence=confidence)
    over_examples = float(np.nanvar(resamples, ddof=1))
    more = sum(max(0.0, one.variance - one.also_in_examples) for one in seeds)
    if not any(one.variance for one in seeds):
        return low, high
    total = over_examples + more
    known = over_examples**2 / max(1, examples - 1) + sum(one.variance**2 / one.freedom for one in seeds)
    width = student_t(confidence, max(1.0, total**2 / known)) * sqrt(total)
    if over_examples < ROUNDING * total:
        return value - width, value + width
    scale = width / (student_t(confidence, max(1, examples - 1)) * sqrt(over_examples))
    return value - (value - low) * scale, value + (high - value) * scale


def with_splits(values: Floats, *, held_out: float, confidence: float) -> tuple[float, float]:
    """The interval of the mean of the values of splits; `held_out` is the ratio of held-out to training examples."""
    splits = len(values)
    spread = sqrt((1 / splits + held_out) * float(np.var(values, ddof=1)))
    width = student_t(confidence, splits - 1) * spread
    mean = float(np.mean(values))
    return mean - width, mean + width


def student_t(confidence: float, freedom: float) -> float:
    """The t of which so much lies between -t and t, for any number of degrees of freedom from 1 on.

    With t = sqrt(freedom) tan(angle) the density is cos(angle)^(freedom - 1), which is integrated and inverted.
    """
    angles = np.linspace(0.0, min(pi / 2, _WIDTHS / sqrt(freedom)), _POINTS)
    density = np.cos(angles) ** (freedom - 1)
    steps = (density[1:] + density[:-1]) / 2
    share = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    return float(sqrt(freedom) * np.tan(np.interp(confidence, share, angles)))
