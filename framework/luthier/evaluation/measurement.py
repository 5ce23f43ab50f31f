"""The per-example statistics of one score, which allow a paired comparison with another model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from luthier.contracts.scores import FEWEST_PAIRS, Score
from luthier.errors import RecipeError
from luthier.evaluation.bootstrap import Floats, Reduction, exponential_ratio, interval, ratio, resampled


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are drawn. The seed is fixed: the same statistics always have the same interval."""

    resamples: int = 1000
    """Draws of the examples."""
    confidence: float = 0.95
    """The share of the resampled values that an interval holds."""
    seed: int = 0
    """Of the draws."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Sufficient statistics [examples, s], float64, and the function from their totals to the value.

    `examples` says on what, as a digest of the examples in order (and of their tokens, for a loss): only equal
    digests can be paired.
    """

    statistics: Floats
    """Sufficient statistics of each example, [examples, s]."""
    reduce: Reduction
    """Totals of the statistics to the value."""
    better: str
    """`higher` or `lower`."""
    examples: str
    """The digest of the examples."""

    @property
    def has_values(self) -> bool:
        """Whether a mean has anything to be the mean of; another reduction says by NaN that it has no value."""
        if self.reduce in (ratio, exponential_ratio):
            return bool(self.statistics[:, 1].any())
        return not bool(np.isnan(self.reduce(self.statistics.sum(0))))

    def values(self) -> list[float | None]:
        """The value of each example alone; None where it has none: of two statistics the second is a weight."""
        found = self.reduce(self.statistics)
        if self.statistics.shape[1] == 2:
            found = np.where(self.statistics[:, 1] != 0, found, np.nan)
        return [None if np.isnan(value) else float(value) for value in found]

    def score(self, bootstrap: Bootstrap) -> Score:
        """The value over all examples with its interval."""
        (totals,) = resampled([self.statistics], resamples=bootstrap.resamples, seed=bootstrap.seed)
        low, high = interval(self.reduce(totals), confidence=bootstrap.confidence)
        return Score(float(self.reduce(self.statistics.sum(0))), low, high, len(self.statistics), self.better)


@dataclass(frozen=True, slots=True)
class Difference:
    """Two models on the same examples: both scores, the change from the first to the second, and what it means."""

    before: Score
    after: Score
    change: Score
    verdict: str

    @classmethod
    def between(cls, before: Measurement, after: Measurement, bootstrap: Bootstrap, *, name: str = "") -> Difference:
        """The paired bootstrap of `after - before`.

        Raises RecipeError where the two were not measured on the same examples.
        """
        if before.examples != after.examples:
            raise RecipeError(
                f"{name or 'A score'} was measured on different examples or tokens, so it cannot be compared.",
                hint="Evaluate both anew on the same examples: luthier evaluate RUN RUN.",
            )
        drawn = resampled([before.statistics, after.statistics], resamples=bootstrap.resamples, seed=bootstrap.seed)
        old, new = (after.reduce(totals) for totals in drawn)
        low, high = interval(new - old, confidence=bootstrap.confidence)
        first = float(after.reduce(before.statistics.sum(0)))
        last = float(after.reduce(after.statistics.sum(0)))
        count = len(after.statistics)
        change = Score(last - first, low, high, count, after.better)
        return cls(
            Score(first, *interval(old, confidence=bootstrap.confidence), count, after.better),
            Score(last, *interval(new, confidence=bootstrap.confidence), count, after.better),
            change,
            verdict(change),
        )


def verdict(change: Score) -> str:
    """`better`, `worse` or `not distinguishable`: the last where the interval holds 0 or the pairs are too few."""
    if change.low <= 0 <= change.high or change.count < FEWEST_PAIRS:
        return "not distinguishable"
    return "better" if (change.value > 0) == (change.better == "higher") else "worse"
