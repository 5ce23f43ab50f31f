"""ROUGE-L: F1 of the longest common subsequence."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from luthier.evaluation.bootstrap import Floats, ratio, row_means
from luthier.evaluation.metrics.metric import Attempt

_WORD = re.compile(r"[^\W_]+")


class RougeL:
    """The mean F1 of the longest common subsequence of words (Lin, 2004), from 0 to 1.

    Words are runs of letters and digits of any script, in lower case and not stemmed: on English text exactly what
    the `rouge-score` package computes.
    """

    better = "higher"
    bounded = True

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        return row_means(np.array([_f1(_words(a.output), _words(a.reference)) for a in attempts], dtype=np.float64))

    def reduce(self, totals: Floats) -> Floats:
        return ratio(totals)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _f1(output: list[str], reference: list[str]) -> float:
    common = longest_common_subsequence(output, reference)
    return 2 * common / (len(output) + len(reference)) if common else 0.0


def longest_common_subsequence(left: Sequence[str], right: Sequence[str]) -> int:
    """Its length, by the bit-parallel recurrence of Hyyrö (2004): one machine word stands for many cells of a row."""
    places: dict[str, int] = {}
    for index, word in enumerate(left):
        places[word] = places.get(word, 0) | 1 << index
    full = (1 << len(left)) - 1
    row = full
    for word in right:
        hits = row & places.get(word, 0)
        row = (row + hits | row - hits) & full
    return len(left) - row.bit_count()
