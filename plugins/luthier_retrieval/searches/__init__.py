"""How passages are found. One way a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from luthier_retrieval.segment import Segment

Numbers = NDArray[np.int64]
Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows of an earlier segment that a new one begins with."""

    folder: Path
    rows: Numbers


class Search(Protocol):
    """Writes what it needs about the passages of a segment, and finds passages in all segments together."""

    def write(self, folder: Path, texts: Sequence[str], kept: Sequence[Kept]) -> None:
        """Prepare the texts of a new segment in its folder; the first of them are those kept, in order."""

    def open(self, segments: Sequence[Segment]) -> None:
        """Search these segments from now on."""

    def __call__(self, question: str, most: int) -> tuple[Numbers, Scores]:
        """The numbers of at most `most` passages, counted over all segments in order, and scores; the best one first.

        Of equal ones the earlier one comes first. Threads may share it.
        """

    def identity(self) -> str:
        """Changes with all that `write` depends on."""


def best(scores: Scores, most: int) -> Numbers:
    """The numbers of the `most` largest scores, the largest first; of equal ones the earlier one."""
    if len(scores) > most:
        edge = np.partition(scores, len(scores) - most)[len(scores) - most]
        found = np.flatnonzero(scores >= edge)
    else:
        found = np.arange(len(scores))
    return found[np.argsort(-scores[found], kind="stable")][:most]
