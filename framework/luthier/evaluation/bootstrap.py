"""The percentile bootstrap over examples, vectorised (Efron, 1979; paired as in Koehn, EMNLP 2004).

Each score is an array of per-example sufficient statistics, [examples, statistics], and a function from their totals
to a value: accuracy is (right, 1) and a division, macro-F1 three counts for each class. A resample
of the examples is then a row of counts, and all resamples together one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""float64 values: per-example statistics [examples, s], totals [..., s] or values [...]."""
Reduction = Callable[[Floats], Floats]
"""Totals [..., statistics] to values [...]."""

BLOCK = 4_000_000
"""Counts held at once, 32 MB of them: resampling 100,000 examples takes no more memory than 4,000."""


def resampled(statistics: list[Floats], *, resamples: int, seed: int) -> list[Floats]:
    """The totals of each array over the same resamples of the examples: [examples, s] to [resamples, s].

    Sharing the resamples among the arrays is what makes a comparison paired.
    """
    count = len(statistics[0])
    generator = np.random.default_rng(seed)
    blocks: list[list[Floats]] = [[] for _ in statistics]
    for start in range(0, resamples, rows := max(1, BLOCK // count)):
        counts = _counts(generator, min(rows, resamples - start), count)
        for totals, array in zip(blocks, statistics, strict=True):
            totals.append(counts @ array)
    return [np.concatenate(totals) for totals in blocks]


def _counts(generator: np.random.Generator, rows: int, count: int) -> Floats:
    """How often each example is in each resample, [rows, count]."""
    drawn = generator.integers(count, size=(rows, count))
    drawn += np.arange(rows)[:, None] * count
    return np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)


def interval(values: Floats, *, confidence: float) -> tuple[float, float]:
    """The percentile interval of resampled values; those that a resample leaves undefined (NaN) are set aside."""
    tail = 50 * (1 - confidence)
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)


def ratio(totals: Floats) -> Floats:
    """The first statistic over the second, 0 where the second is 0: a mean, an accuracy, a micro-averaged F1."""
    above, below = totals[..., 0], totals[..., 1]
    return np.divide(above, below, out=np.zeros_like(above), where=below != 0)


def exponential_ratio(totals: Floats) -> Floats:
    """The exponential of `ratio`: the perplexity of (negative log-probability, weight)."""
    exponentials: Floats = np.exp(ratio(totals))
    return exponentials


def row_means(values: Floats) -> Floats:
    """Per-example values [examples] as the statistics [examples, 2] whose `ratio` is their mean."""
    return np.stack([values, np.ones_like(values)], axis=1)
