"""A memory-mapped inverted index: the passages that contain each word, with term frequencies."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int32]
WORDS = "words.txt"
_ARRAYS = ("starts", "passages", "counts", "lengths")


@dataclass(frozen=True)
class InvertedIndex:
    """The postings of word number w are `passages` and `counts` from `starts[w]` to `starts[w + 1]`.

    `counts` are term frequencies; `lengths` are the numbers of words of each passage.
    """

    words: dict[str, int]
    starts: NDArray[np.int64]
    passages: Integers
    counts: Integers
    lengths: Integers

    @classmethod
    def from_words(cls, texts: Sequence[Sequence[str]]) -> InvertedIndex:
        """Index the words of each passage."""
        words: dict[str, int] = {}
        occurrences = array("i", (words.setdefault(word, len(words)) for text in texts for word in text))
        lengths = np.array([len(text) for text in texts], dtype=np.int32)
        pairs = np.array(occurrences, dtype=np.int64) * len(texts) + np.repeat(np.arange(len(texts)), lengths)
        unique, counts = np.unique(pairs, return_counts=True)
        numbers, passages = np.divmod(unique, max(len(texts), 1))
        starts = np.searchsorted(numbers, np.arange(len(words) + 1))
        return cls(words, starts.astype(np.int64), passages.astype(np.int32), counts.astype(np.int32), lengths)

    def postings(self, word: str) -> tuple[Integers, Integers]:
        """The numbers of the passages that contain a word, and its frequency in each."""
        if (number := self.words.get(word)) is None:
            return self.passages[:0], self.counts[:0]
        rows = slice(int(self.starts[number]), int(self.starts[number + 1]))
        return self.passages[rows], self.counts[rows]

    def save(self, folder: Path) -> None:
        folder.mkdir()
        (folder / WORDS).write_text("\n".join(self.words), encoding="utf-8", newline="\n")
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> InvertedIndex:
        text = (folder / WORDS).read_text(encoding="utf-8")
        words = {word: number for number, word in enumerate(text.split("\n") if text else ())}
        arrays = [np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS]
        return cls(words, *arrays)
