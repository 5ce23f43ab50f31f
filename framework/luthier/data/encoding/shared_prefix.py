"""Rows of several sequences with a shared prefix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from luthier.contracts.batch import Row, TokenSequence


def row_with_shared_prefix(sequences: Sequence[TokenSequence], values: Mapping[str, float] | None = None) -> Row:
    """A row of sequences with their longest shared prefix, such as the prompt of several answers.

    The prefix ends before the token from which the first trained token is predicted, so that each sequence begins with
    that token.
    """
    own = min(int(np.argmax(each.weights != 0)) if each.weights.any() else len(each) for each in sequences)
    length = max(0, own - 1)
    beginnings = np.stack([each.ids[:length] for each in sequences])
    alike = (beginnings == beginnings[0]).all(0)
    shared = length if alike.all() else int(alike.argmin())
    return Row(tuple(sequences), values or {}, shared if len(sequences) > 1 else 0)
