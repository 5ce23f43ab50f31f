"""The F1 of spans: exact as conlleval and seqeval have it, and partial; by label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from luthier.api import Floats, Span

EXACT, PARTIAL, FOUND, TRUE = range(4)
"""Of each label: right spans, those and half of those that overlap, predicted spans, true spans."""
COUNTS = 4


def span_counts(true: Sequence[Span], found: Sequence[Span], labels: Sequence[str]) -> NDArray[np.float64]:
    """The counts of one text for each label, [labels, 4].

    A found span is right if one of the same words and label is true. One that is not, but overlaps a true span of its
    label which no other has, counts half in the second column, as in the scheme `partial` of SemEval-2013, task 9.
    """
    counts = np.zeros((len(labels), COUNTS))
    number = {label: at for at, label in enumerate(labels)}
    free = [span for span in true if span not in set(found)]
    for span in true:
        counts[number[span.label], TRUE] += 1
    for span in found:
        own = counts[number[span.label]]
        own[FOUND] += 1
        if span in true:
            own[[EXACT, PARTIAL]] += 1
            continue
        near = next((other for other in free if other.label == span.label and _overlap(other, span)), None)
        if near is not None:
            free.remove(near)
            own[PARTIAL] += 0.5
    return counts


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def f1(right: Floats, found: Floats, true: Floats) -> Floats:
    """2 · right / (found + true), elementwise; 0 where nothing is right, NaN where there is nothing at all."""
    whole = found + true
    shares: Floats = np.divide(2 * right, whole, out=np.full_like(whole, np.nan), where=whole > 0)
    return shares


def micro_f1(totals: Floats, column: int) -> Floats:
    """F1 over all labels of flattened counts [..., labels · 4], by exact or partial matches."""
    sums = totals.reshape(*totals.shape[:-1], -1, COUNTS).sum(-2)
    return f1(sums[..., column], sums[..., FOUND], sums[..., TRUE])


def macro_f1(totals: Floats) -> Floats:
    """The mean of each label's exact F1; a label without a true or predicted span has none."""
    counts = totals.reshape(*totals.shape[:-1], -1, COUNTS)
    each = f1(counts[..., EXACT], counts[..., FOUND], counts[..., TRUE])
    there = ~np.isnan(each)
    mean: Floats = np.where(there, each, 0).sum(-1) / np.maximum(there.sum(-1), 1)
    return np.where(there.any(-1), mean, np.nan)
