"""Sequences that begin alike, as one row that holds their beginning once."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Several

import numpy as np

from luthier.contracts.batch import Row, TokenSequence


def row_with_shared_prefix(sequences: Several[TokenSequence], values: Mapping[str, float] | None = None) -> Row:
    """A row whose sequences share what they begin with, such as the prompt of several answers.

    They share at most what comes before the token from which the first trained one is predicted: that token is where
    each goes on for itself.
    """
    own = min(int(np.argmax(each.weights != 0)) if each.weights.any() else len(each) for each in sequences)
    length = max(0, own - 1)
    beginnings = np.stack([each.ids[:length] for each in sequences])
    alike = (beginnings == beginnings[0]).all(0)
    shared = length if alike.all() else int(alike.argmin())
    return Row(tuple(sequences), values or {}, shared if len(sequences) > 1 else 0)
