"""Exact match after normalisation."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence

import numpy as np

from luthier.evaluation.bootstrap import Floats, ratio, row_means
from luthier.evaluation.metrics.metric import Attempt

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


class ExactMatch:
    """The share of answers equal to their reference after SQuAD's normalisation (Rajpurkar et al., 2016).

    Case, punctuation, English articles, runs of white space and Unicode compatibility forms do not count; with
    `normalise=false` only white space at the ends does not.
    """

    better = "higher"
    bounded = True

    def __init__(self, *, normalise: bool = True) -> None:
        self.form = normalised_text if normalise else str.strip

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        return row_means(np.array([self.form(a.output) == self.form(a.reference) for a in attempts], dtype=np.float64))

    def reduce(self, totals: Floats) -> Floats:
        return ratio(totals)


def normalised_text(text: str) -> str:
    """Lower case, without punctuation, articles and runs of white space."""
    plain = unicodedata.normalize("NFKC", text).lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())
