"""Metrics of label probabilities: ranking (AUROC, average precision) and calibration, as sums over examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from luthier.errors import RecipeError
from luthier.evaluation.bootstrap import Floats
from luthier.evaluation.metrics.metric import Attempt

BINS, MOST = 128, 2048
"""Bins of log-odds for each label, and in all where there are many labels."""
FAR = 8.0
"""The log-odds beyond which all is one bin: a probability of 0.0003 or 0.9997."""
CONFIDENCE_BINS = 15
"""Bins of equal width over confidences from 0 to 1."""


class _Ranking:
    """Histograms of each label's log-odds, of examples that have the label and of those that have not."""

    better = "higher"

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        """[attempts, 2 · labels · bins]: one in the bin of each label's log-odds, with the label and then without."""
        labels, shares = probabilities_of(attempts)
        bins = max(16, min(BINS, MOST // len(labels)))
        with np.errstate(divide="ignore"):
            odds = np.clip(np.log(shares) - np.log1p(-np.minimum(shares, 1.0)), -FAR, FAR)
        places = np.minimum(((odds + FAR) / (2 * FAR) * bins).astype(int), bins - 1)
        found = np.zeros((len(attempts), 2, len(labels), bins))
        rows, columns = np.indices(places.shape)
        without = np.array([[attempt.reference.strip() != label for label in labels] for attempt in attempts])
        found[rows, without.astype(int), columns, places] = 1
        return found.reshape(len(attempts), -1)

    def _split(self, totals: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Counts with and without the label [..., labels, bins], and which labels have both, [..., labels]."""
        counts = totals.reshape(*totals.shape[:-1], 2, _labels(totals.shape[-1]), -1)
        positive, negative = counts[..., 0, :, :], counts[..., 1, :, :]
        return positive, negative, (positive.sum(-1) > 0) & (negative.sum(-1) > 0)


def _labels(columns: int) -> int:
    """The number of labels of histograms with so many columns in all."""
    for labels in range(1, columns // 32 + 1):
        if 2 * labels * max(16, min(BINS, MOST // labels)) == columns:
            return labels
    raise AssertionError(columns)


class Auroc(_Ranking):
    """The area under the ROC curve of each label against the rest, averaged over labels (macro).

    It is the chance that a text with the label has a higher probability of it than one without; equals count half.
    Probabilities are told apart by their log-odds in steps of 1/8 (more coarsely with more than 16 labels), so that
    intervals can be drawn from sums. Labels that all or no examples have do not count.
    """

    def reduce(self, totals: Floats) -> Floats:
        positive, negative, counted = self._split(totals)
        below = negative.cumsum(-1) - negative / 2
        pairs = positive.sum(-1) * negative.sum(-1)
        areas = np.divide((positive * below).sum(-1), pairs, out=np.zeros_like(pairs), where=pairs > 0)
        return _mean(areas, counted)


class AveragePrecision(_Ranking):
    """The mean of precision over recall of each label against the rest, averaged over labels (macro).

    Σ (R_n - R_(n-1)) P_n over thresholds, in the steps of `Auroc`. Labels that all or no examples have do not count.
    """

    def reduce(self, totals: Floats) -> Floats:
        positive, negative, counted = self._split(totals)
        hits, all_ = positive[..., ::-1].cumsum(-1), (positive + negative)[..., ::-1].cumsum(-1)
        precision = np.divide(hits, all_, out=np.zeros_like(hits), where=all_ > 0)
        total = positive.sum(-1)
        mean = np.divide((positive[..., ::-1] * precision).sum(-1), total, out=np.zeros_like(total), where=total > 0)
        return _mean(mean, counted)


class CalibrationError:
    """The expected calibration error of the most probable label, in 15 bins of confidence (Naeini et al., 2015)."""

    better = "lower"

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        """[attempts, 3 · bins]: each bin's count, confidence and correct answers."""
        labels, shares = probabilities_of(attempts)
        confidence = shares.max(1)
        right = np.array(
            [
                labels[place] == attempt.reference.strip()
                for place, attempt in zip(shares.argmax(1), attempts, strict=True)
            ]
        )
        places = np.minimum((confidence * CONFIDENCE_BINS).astype(int), CONFIDENCE_BINS - 1)
        bins = np.eye(CONFIDENCE_BINS)[places]
        return np.concatenate([bins, bins * confidence[:, None], bins * right[:, None]], axis=1)

    def reduce(self, totals: Floats) -> Floats:
        counts, confidence, right = np.moveaxis(totals.reshape(*totals.shape[:-1], 3, CONFIDENCE_BINS), -2, 0)
        error: Floats = np.abs(right - confidence).sum(-1) / np.maximum(counts.sum(-1), 1)
        return error


def probabilities_of(attempts: Sequence[Attempt]) -> tuple[list[str], NDArray[np.float64]]:
    """The labels, and their probabilities [attempts, labels]; RecipeError for answers that have none."""
    if not attempts or not attempts[0].probabilities:
        if attempts and attempts[0].output == attempts[0].reference:  # a trial before anything is answered
            return [attempts[0].reference], np.ones((len(attempts), 1))
        raise RecipeError(
            "This metric needs the probability of each label, and the task gives answers alone.",
            where="evaluation.task",
            hint="Use evaluation/task=labels or classification.",
        )
    labels = list(attempts[0].probabilities)
    return labels, np.array([[attempt.probabilities[label] for label in labels] for attempt in attempts])


def _mean(values: Floats, counted: NDArray[np.bool_]) -> Floats:
    """The mean over the last axis of what is counted; NaN where nothing is."""
    count = counted.sum(-1)
    total = np.where(counted, values, 0.0).sum(-1)
    return np.asarray(np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0))
