"""Confidence sequences for a mean of bounded differences: valid after every example, however often one looks.

A bet against the hypothesis that the mean is at least m has a wealth that is expected to grow under no mean of m or
more; by Ville's inequality it ever reaches 1 / alpha with a probability of at most alpha. All m against which no bet
has become that rich are the confidence sequence (Waudby-Smith & Ramdas, "Estimating means of bounded random variables
by betting", JRSS B 2024, section 4). The wealth is shared equally among bets of fixed fractions of what can be staked,
a mixture that is within a constant of the best of them, whatever the variance is (their section B, "diversified").
"""

from __future__ import annotations

import numpy as np

from luthier.evaluation.bootstrap import Floats

FRACTIONS: Floats = 0.95 * 2.0 ** -np.arange(7.0)
"""The bets: shares of the wealth that are lost by the difference that speaks most against them, 1."""
STEPS = 30
"""Halvings of [-1, 1] in which a bound is found: to 2e-9."""


def log_wealth(differences: Floats, at_least: float | Floats) -> Floats:
    """The largest log-wealth so far of the bets against a mean of `at_least` or more.

    `differences` [..., n] are in [-1, 1], in the order in which they were seen; NaN is left out. `at_least` is below
    1, broadcast against [...]. Gives [...]; 0 where nothing was seen.
    """
    null = np.asarray(at_least, dtype=np.float64)[..., None]
    gains = (null - differences) / (1 - null)  # -1 at the difference 1, what the null expects is 0 or less
    gains = np.where(np.isnan(gains), 0.0, gains)
    paths = np.zeros(gains.shape)
    for number, fraction in enumerate(FRACTIONS):
        path = np.cumsum(np.log1p(fraction * gains), axis=-1)
        paths = path if number == 0 else np.logaddexp(paths, path)
    best: Floats = paths.max(axis=-1, initial=np.log(len(FRACTIONS))) - np.log(len(FRACTIONS))
    return best


def excludes(differences: Floats, at_least: float | Floats, alpha: float) -> np.ndarray:
    """Whether a mean of `at_least` or more is excluded at the level alpha, [...] of bool."""
    return np.asarray(log_wealth(differences, at_least) >= -np.log(alpha))


def bounds(differences: Floats, alpha: float) -> tuple[float, float]:
    """The confidence sequence after the last of `differences` [n]: each end holds with a probability of 1 - alpha."""
    return -_upper(-differences, alpha), _upper(differences, alpha)


def _upper(differences: Floats, alpha: float) -> float:
    """The least mean that is excluded with all above it, found by halving: the wealth grows with the hypothesis."""
    low, high = -1.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if excludes(differences, middle, alpha):
            high = middle
        else:
            low = middle
    return high
