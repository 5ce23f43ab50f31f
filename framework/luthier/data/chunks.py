"""Arrays over the sequences of rows that were encoded together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from luthier.contracts.batch import Row


@dataclass(frozen=True)
class Chunk:
    """Rows, and their sequences as concatenated arrays."""

    rows: list[Row]

    @cached_property
    def ids(self) -> NDArray[np.int32]:
        """The token ids of all sequences, int32 [tokens]."""
        ids = [sequence.ids for row in self.rows for sequence in row.sequences]
        return np.concatenate(ids, dtype=np.int32) if ids else np.empty(0, np.int32)

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """The loss weights of all tokens, float32 [tokens]."""
        weights = [sequence.weights for row in self.rows for sequence in row.sequences]
        return np.concatenate(weights, dtype=np.float32) if weights else np.empty(0, np.float32)

    @cached_property
    def labels(self) -> NDArray[np.int32]:
        """The labels of all tokens, int32 [tokens]; empty where no sequence has some."""
        given = [sequence.labels for row in self.rows for sequence in row.sequences]
        if all(labels is None for labels in given):
            return np.empty(0, np.int32)
        lengths = self.sequence_lengths.tolist()
        filled = [np.full(n, -1) if labels is None else labels for labels, n in zip(given, lengths, strict=True)]
        return np.concatenate(filled, dtype=np.int32)

    @cached_property
    def sequence_lengths(self) -> NDArray[np.int64]:
        """Tokens of each sequence, int64 [sequences]."""
        return np.array([len(sequence) for row in self.rows for sequence in row.sequences], dtype=np.int64)

    @cached_property
    def sequences(self) -> NDArray[np.int64]:
        """The number of sequences of each row, int64 [rows]."""
        return np.array([len(row.sequences) for row in self.rows], dtype=np.int64)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, those of the shared prefix counted once, int64 [rows]."""
        return _sums(self.sequence_lengths, self.sequences) - self.shared * (self.sequences - 1)

    @cached_property
    def shared(self) -> NDArray[np.int64]:
        """The length of each row's shared prefix in tokens, int64 [rows]."""
        return np.array([row.shared for row in self.rows], dtype=np.int64)

    @cached_property
    def trained(self) -> NDArray[np.int64]:
        """The number of trained tokens (weight above 0) of each sequence, int64 [sequences]."""
        return _sums((self.weights > 0).astype(np.int64), self.sequence_lengths)

    @cached_property
    def trainable(self) -> NDArray[np.bool_]:
        """Whether each row is prompt-only or read-only, or has a trained token in every sequence, bool [rows]."""
        predicts_none = np.array([row.prompt_only or row.read_only for row in self.rows], dtype=np.bool_)
        return predicts_none | np.equal(_sums((self.trained == 0).astype(np.int64), self.sequences), 0)

    @property
    def is_valid(self) -> bool:
        """Whether no sequence is empty, first tokens have weight 0, weights are finite, and labels and prefixes valid.

        A shared prefix is the same in all sequences of its row, has weight 0, and is followed in each sequence by a
        further token of weight 0.
        """
        pairs = [(sequence.ids, sequence.weights) for row in self.rows for sequence in row.sequences]
        if not all(len(ids) and ids.shape == weights.shape for ids, weights in pairs):
            return False
        labelled = [sequence for row in self.rows for sequence in row.sequences if sequence.labels is not None]
        if any(one.labels is None or one.labels.shape != one.ids.shape for one in labelled):
            return False
        firsts = np.cumsum(self.sequence_lengths) - self.sequence_lengths
        if self.weights[firsts].any() or not np.isfinite(self.weights).all():
            return False
        return all(_valid_prefix(row) for row in self.rows if row.shared)


def _valid_prefix(row: Row) -> bool:
    prefix = row.sequences[0].ids[: row.shared]
    return all(
        np.array_equal(sequence.ids[: row.shared], prefix)
        and len(sequence) > row.shared
        and not sequence.weights[: row.shared + 1].any()
        for sequence in row.sequences
    )


def _sums(values: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sums of `values` over consecutive groups of `counts` elements."""
    ends = np.concatenate([[0], np.cumsum(values)])[np.cumsum(counts)]
    return np.diff(ends, prepend=0)
