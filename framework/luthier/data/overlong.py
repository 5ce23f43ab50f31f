"""What happens to a row that is longer than a block."""

from __future__ import annotations

import numpy as np

from luthier.contracts.batch import Row, TokenSequence
from luthier.errors import RecipeError


def split_row(row: Row, length: int) -> list[Row]:
    """The row as rows of at most `length` tokens, so that every token that was to be predicted still is, once.

    Each piece begins with the last token of the one before it, as context of weight 0. RecipeError for a row of
    several sequences, which belong together.
    """
    if len(row) <= length:
        return [row]
    _refuse_open(row)
    if len(row.sequences) > 1:
        raise RecipeError(
            f"A row of {len(row.sequences)} sequences that belong together cannot be cut into pieces.",
            where="batch.overlong",
            hint="Set batch.overlong=truncate or drop.",
        )
    (whole,) = row.sequences
    found = []
    for start in range(0, len(whole) - 1, length - 1):
        weights = np.array(whole.weights[start : start + length])
        weights[0] = 0
        found.append(Row((TokenSequence(whole.ids[start : start + length], weights),), row.values))
    return found


def truncated_row(row: Row, length: int) -> Row:
    """The row with the ends of its longest sequences cut away, so that it has `length` tokens.

    Nothing of what the sequences share is cut: where that alone is too long, each keeps one token besides.
    """
    _refuse_open(row)
    own = [len(sequence) - row.shared for sequence in row.sequences]
    room = max(length - row.shared, len(own))
    limit = _limit(own, room)
    spare = room - sum(min(each, limit) for each in own)  # shorter by less than one token each: the first get it
    kept = []
    for sequence, each in zip(row.sequences, own, strict=True):
        more = each > limit and spare > 0
        spare -= more
        end = row.shared + limit + more
        kept.append(TokenSequence(sequence.ids[:end], sequence.weights[:end]))
    return Row(tuple(kept), row.values, row.shared)


def _refuse_open(row: Row) -> None:
    if row.open:
        raise RecipeError(
            f"A prompt of {len(row)} tokens that is to be answered cannot lose its end.",
            where="batch.overlong",
            hint="Set batch.overlong=drop, or raise batch.length.",
        )


def _limit(lengths: list[int], total: int) -> int:
    """The greatest length at which all can be cut so that together they are no longer than `total`."""
    left = len(lengths)
    for own in sorted(lengths):
        if own * left > total:
            return total // left
        total, left = total - own, left - 1
    return max(lengths, default=0)
