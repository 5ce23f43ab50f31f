"""What happens to a row that is longer than a block."""

from __future__ import annotations

from luthier.parts import Row, Sequence


def truncated(row: Row, length: int) -> Row:
    """The row with the ends of its longest sequences cut away, so that it has `length` tokens."""
    lengths = [len(sequence) for sequence in row.sequences]
    limit = _limit(lengths, length)
    spare = length - sum(min(own, limit) for own in lengths)  # shorter by less than one token each: the first get it
    kept = []
    for sequence, own in zip(row.sequences, lengths, strict=True):
        more = own > limit and spare > 0
        spare -= more
        kept.append(Sequence(sequence.ids[: limit + more], sequence.weights[: limit + more]))
    return Row(tuple(kept), row.values)


def _limit(lengths: list[int], total: int) -> int:
    """The greatest length at which all can be cut so that together they are no longer than `total`."""
    left = len(lengths)
    for own in sorted(lengths):
        if own * left > total:
            return total // left
        total, left = total - own, left - 1
    return max(lengths, default=0)
