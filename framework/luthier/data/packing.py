"""Which rows share a block."""

from __future__ import annotations

from bisect import bisect_left, insort

import numpy as np
from numpy.typing import NDArray

Groups = list[list[int]]
"""For each block the indices of its rows, in the order in which they are laid down."""


def best_fit(lengths: NDArray[np.int64], length: int) -> Groups:
    """Put each row, longest first, into the fullest block of `length` tokens that still has room for it.

    Best fit decreasing (Johnson et al., 1974): at most 11/9 of the smallest possible number of blocks, plus 4.
    Open blocks are kept by the room that is left in them, of which there are at most `length` kinds, so n rows cost
    O(n log n + n log length). Rows of equal length keep their order: the same lengths always give the same blocks.
    ValueError where a row is longer than `length`.
    """
    if len(lengths) and int(lengths.max()) > length:
        raise ValueError(f"a row of {int(lengths.max())} tokens does not fit into a block of {length}")
    groups: Groups = []
    room: list[int] = []  # the different amounts of room in open blocks, ascending
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
    """Give each row a block of its own."""
    return [[row] for row in range(len(lengths))]
