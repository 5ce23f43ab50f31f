"""Rows become the tensors of one forward pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from luthier.parts import Batch, Row


def collate(
    blocks: Sequence[Sequence[Row]],
    length: int | None = None,
    *,
    pad: int = 0,
    examples: Sequence[int] | None = None,
) -> Batch:
    """Lay the rows of each block one after another and pad the block to `length`, or to the longest of them.

    A block without rows is a filler: padding only, segments and weights 0. `pad` may be any id of the vocabulary,
    as nothing attends to it. `examples` are the indices of the rows in reading order; without it they are counted
    from 0. ValueError where a block is longer than `length`.
    """
    longest = max((sum(map(len, block)) for block in blocks), default=0)
    width = max(longest, 1) if length is None else length
    if longest > width:
        raise ValueError(f"a block of {longest} tokens does not fit into {width}")

    ids = np.full((len(blocks), width), pad, dtype=np.int64)
    weights = np.zeros((len(blocks), width), dtype=np.float32)
    positions = np.zeros((len(blocks), width), dtype=np.int64)
    segments = np.zeros((len(blocks), width), dtype=np.int32)
    boundaries = [0]
    for at, block in enumerate(blocks):
        start = 0
        for number, sequence in enumerate((sequence for row in block for sequence in row.sequences), 1):
            stop = start + len(sequence)
            ids[at, start:stop] = sequence.ids
            weights[at, start:stop] = sequence.weights
            positions[at, start:stop] = np.arange(len(sequence))
            segments[at, start:stop] = number
            boundaries.append(at * width + stop)
            start = stop
        if start < width:
            positions[at, start:] = np.arange(width - start)
            boundaries.append((at + 1) * width)

    rows = [row for block in blocks for row in block]
    names = rows[0].values if rows else ()
    return Batch(
        input_ids=torch.from_numpy(ids),
        weights=torch.from_numpy(weights),
        positions=torch.from_numpy(positions),
        segments=torch.from_numpy(segments),
        boundaries=tuple(boundaries),
        examples=tuple(range(len(rows)) if examples is None else examples),
        values={name: torch.tensor([row.values[name] for row in rows], dtype=torch.float32) for name in names},
    )
