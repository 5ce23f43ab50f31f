"""Packing of rows into blocks (best fit)."""

from __future__ import annotations

from bisect import bisect_left, insort

import numpy as np
from numpy.typing import NDArray

Groups = list[list[int]]
"""The indices of the rows of each block, in their order in the block."""


def best_fit(lengths: NDArray[np.int64], length: int) -> Groups:
    """Put each row, longest first, into the fullest block of `length` tokens that has room for it.

    This is best-fit decreasing bin packing (Johnson et al., 1974): at most 11/9 of the smallest possible number of
    blocks, plus 4. Blocks are indexed by their free space, of which there are at most `length` values, so that n rows
    take O(n log n + n log length) time. Rows of equal length keep their order: equal lengths give equal blocks.
    ValueError where a row is longer than `length`.
    """
    if len(lengths) and int(lengths.max()) > length:
        raise ValueError(f"a row of {int(lengths.max())} tokens does not fit into a block of {length}")
    groups: Groups = []
    room: list[int] = []  # the distinct amounts of free space in blocks, ascending
    open_blocks: dict[int, list[int]] = {}
    for row in np.argsort(-lengths, kind="stable").tolist():
        need = int(lengths[row])
        at = bisect_left(room, need)
        if at == len(room):
            block, left = len(groups), length
            groups.append([])
        else:
            left = room[at]
            block = open_blocks[left].pop()
            if not open_blocks[left]:
                del open_blocks[left], room[at]
        groups[block].append(row)
        left -= need
        if left not in open_blocks:
            open_blocks[left] = []
            insort(room, left)
        open_blocks[left].append(block)
    return groups


def one_each(lengths: NDArray[np.int64], length: int) -> Groups:
    """A block of its own for each row."""
    return [[row] for row in range(len(lengths))]
