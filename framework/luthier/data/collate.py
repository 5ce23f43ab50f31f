"""Collate packed rows to the tensors of one forward pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from luthier.contracts.batch import Batch, Row, TokenSequence


def collate(
    blocks: Sequence[Sequence[Row]],
    length: int | None = None,
    *,
    pad: int = 0,
    examples: Sequence[int] | None = None,
    turns: Sequence[int] = (),
    names: Sequence[str] = (),
) -> Batch:
    """Concatenate the rows of each block, and pad the block to `length` tokens, or to the longest block.

    The shared prefix of a row comes once, before its sequences, whose positions continue those of the prefix. A block
    without rows is a filler: padding only, segments and weights 0. `pad` may be any id of the vocabulary, as no token
    attends to padding. `examples` are the indices of the rows' examples; by default they are counted from 0. `turns`:
    `Batch.turns`. `names` are those of the values of rows, which a batch without rows has, too, each of length 0.
    ValueError where a block is longer than `length`.
    """
    longest = max((sum(map(len, block)) for block in blocks), default=0)
    width = max(longest, 1) if length is None else length
    if longest > width:
        raise ValueError(f"a block of {longest} tokens does not fit into {width}")

    arrays = _BatchArrays(len(blocks), width, pad, labelled=_labelled(blocks))
    prefix_of: dict[int, int] = {}
    groups: list[tuple[int, ...]] = []
    for at, block in enumerate(blocks):
        arrays.begin(at)
        for row in block:
            prefix = arrays.append(row.sequences[0], 0, row.shared) if row.shared else None
            groups.append(tuple(arrays.append(sequence, row.shared, len(sequence)) for sequence in row.sequences))
            if prefix is not None:
                prefix_of.update(dict.fromkeys(groups[-1], prefix))
        arrays.end()

    rows = [row for block in blocks for row in block]
    names = tuple(rows[0].values) if rows else names
    return Batch(
        input_ids=torch.from_numpy(arrays.ids),
        weights=torch.from_numpy(arrays.weights),
        positions=torch.from_numpy(arrays.positions),
        segments=torch.from_numpy(arrays.segments),
        boundaries=tuple(arrays.boundaries),
        examples=tuple(range(len(rows)) if examples is None else examples),
        values={name: torch.tensor([row.values[name] for row in rows], dtype=torch.float32) for name in names},
        prefix_of=prefix_of,
        sequence_groups=tuple(groups),
        turns=tuple(turns),
        extras={} if arrays.labels is None else {"labels": torch.from_numpy(arrays.labels)},
    )


def _labelled(blocks: Sequence[Sequence[Row]]) -> bool:
    return any(sequence.labels is not None for block in blocks for row in block for sequence in row.sequences)


class _BatchArrays:
    """The arrays of a batch, filled from left to right, block after block."""

    def __init__(self, blocks: int, width: int, pad: int, *, labelled: bool) -> None:
        self.width = width
        self.ids = np.full((blocks, width), pad, dtype=np.int64)
        self.weights = np.zeros((blocks, width), dtype=np.float32)
        self.positions = np.zeros((blocks, width), dtype=np.int64)
        self.segments = np.zeros((blocks, width), dtype=np.int32)
        self.labels = np.full((blocks, width), -1, dtype=np.int64) if labelled else None
        self.boundaries = [0]

    def begin(self, block: int) -> None:
        self.block, self.at, self.number = block, 0, 0

    def append(self, sequence: TokenSequence, begin: int, end: int) -> int:
        """Append tokens [begin, end) of a sequence, at these positions; gives the number of the new sequence."""
        start, stop = self.at, self.at + end - begin
        self.at, self.number = stop, self.number + 1
        self.ids[self.block, start:stop] = sequence.ids[begin:end]
        self.weights[self.block, start:stop] = sequence.weights[begin:end]
        if self.labels is not None and sequence.labels is not None:
            self.labels[self.block, start:stop] = sequence.labels[begin:end]
        self.positions[self.block, start:stop] = np.arange(begin, end)
        self.segments[self.block, start:stop] = self.number
        self.boundaries.append(self.block * self.width + stop)
        return len(self.boundaries) - 2

    def end(self) -> None:
        """Pad the rest of the block; the padding counts as a sequence among the boundaries."""
        if self.at < self.width:
            self.positions[self.block, self.at :] = np.arange(self.width - self.at)
            self.boundaries.append((self.block + 1) * self.width)
