"""Rows that were encoded together, laid end to end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from luthier.contracts.batch import Row


@dataclass(frozen=True)
class Chunk:
    """Some rows, and arrays over all of their sequences."""

    rows: list[Row]

    @cached_property
    def ids(self) -> NDArray[np.int32]:
        found = [sequence.ids for row in self.rows for sequence in row.sequences]
        return np.concatenate(found, dtype=np.int32) if found else np.empty(0, np.int32)

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        found = [sequence.weights for row in self.rows for sequence in row.sequences]
        return np.concatenate(found, dtype=np.float32) if found else np.empty(0, np.float32)

    @cached_property
    def sequence_lengths(self) -> NDArray[np.int64]:
        return np.array([len(sequence) for row in self.rows for sequence in row.sequences], dtype=np.int64)

    @cached_property
    def sequences(self) -> NDArray[np.int64]:
        """How many sequences each row has."""
        return np.array([len(row.sequences) for row in self.rows], dtype=np.int64)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, those that its sequences share counted once."""
        return _sums(self.sequence_lengths, self.sequences) - self.shared * (self.sequences - 1)

    @cached_property
    def shared(self) -> NDArray[np.int64]:
        """Tokens at the beginning of each row's sequences that are the same in all of them."""
        return np.array([row.shared for row in self.rows], dtype=np.int64)

    @cached_property
    def trained(self) -> NDArray[np.int64]:
        """Tokens of each sequence that weigh something."""
        return _sums((self.weights > 0).astype(np.int64), self.sequence_lengths)

    @cached_property
    def trainable(self) -> NDArray[np.bool_]:
        """Whether every sequence of a row has something to predict, or the method is to write that itself."""
        still_open = np.array([row.open for row in self.rows], dtype=np.bool_)
        return still_open | np.equal(_sums((self.trained == 0).astype(np.int64), self.sequences), 0)

    @property
    def sound(self) -> bool:
        """Whether a loss can use all of it: nothing empty, first tokens without weight, weights finite.

        What sequences share is the same in them, has no weight, and leaves each something of its own to begin with,
        of weight 0 too.
        """
        pairs = [(sequence.ids, sequence.weights) for row in self.rows for sequence in row.sequences]
        if not all(len(ids) and ids.shape == weights.shape for ids, weights in pairs):
            return False
        firsts = np.cumsum(self.sequence_lengths) - self.sequence_lengths
        if self.weights[firsts].any() or not np.isfinite(self.weights).all():
            return False
        return all(_shares(row) for row in self.rows if row.shared)


def _shares(row: Row) -> bool:
    first = row.sequences[0].ids[: row.shared]
    same = all(np.array_equal(each.ids[: row.shared], first) for each in row.sequences)
    return same and all(len(each) > row.shared and not each.weights[: row.shared + 1].any() for each in row.sequences)


def _sums(values: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum over each run of `counts` values."""
    ends = np.concatenate([[0], np.cumsum(values)])[np.cumsum(counts)]
    return np.diff(ends, prepend=0)
