"""The contract of searches for passages (`prompt/search`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

PassageNumbers = NDArray[np.int64]
"""Numbers of passages, int64 [n]."""
PassageScores = NDArray[np.float32]
"""Their scores, float32 [n]; higher is better."""


@dataclass(frozen=True, slots=True)
class ReusedRows:
    """The rows of an earlier segment's folder that a new segment begins with."""

    folder: Path
    """The folder of the earlier segment."""
    rows: PassageNumbers
    """The numbers of its passages, in the order of the new segment."""


class SearchedSegment(Protocol):
    """A part of an index on disk: a folder, and the number of passages in it."""

    @property
    def folder(self) -> Path:
        """The folder in which `Search.write` has written."""

    def __len__(self) -> int:
        """The number of passages."""


class Search(Protocol):
    """Writes its index of a segment's passages, and ranks the passages of all open segments.

    - *Given*: `write` an empty folder and the texts of its passages; `open` the segments of an index in order;
      `__call__` a question and a number.
    - *Returns*: `__call__` int64 numbers of passages, counted over all segments, and their float32 scores, at most
      `k`, the best first; no score is NaN.
    - *Called*: `write` when documents are new or changed, `open` before the first question, `__call__` for each
      question, from several threads.
    - *Ranks*: `write` in one process, `open` and `__call__` on every rank.
    - *Raises*: RecipeError of the constructor; anything else is a fault. A passage that holds nothing to search by
      is simply not found.
    - *Resume*: an index is found again by `identity` and the documents, and opened.
    - *Nested*: a keyword-only parameter: `/prompt/embedding@embedding: static` in the defaults, as `search=dense`
      has.
    """

    def write(self, folder: Path, texts: Sequence[str], reused: Sequence[ReusedRows]) -> None:
        """Index the texts of a new segment in its folder; the first of them are the reused rows, in order."""

    def open(self, segments: Sequence[SearchedSegment]) -> None:
        """Search these segments from now on."""

    def __call__(self, question: str, k: int) -> tuple[PassageNumbers, PassageScores]:
        """The numbers [at most k] of the best passages, counted over all segments in order, and their scores.

        The best comes first; of equal scores the earlier passage. Threads may share it.
        """

    def identity(self) -> str:
        """Changes with every setting that changes what `write` writes."""


def top_k(scores: PassageScores, k: int) -> PassageNumbers:
    """The positions of the `k` largest scores, the largest first; of equal scores the earlier one."""
    if len(scores) > k:
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        candidates = np.flatnonzero(scores >= threshold)
    else:
        candidates = np.arange(len(scores))
    return candidates[np.argsort(-scores[candidates], kind="stable")][:k]
