"""Nearest-neighbour search among vectors, one class a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from luthier.api import Vectors

NeighbourSearch = Callable[[Vectors, int], tuple[NDArray[np.int64], Vectors]]
"""(query [d], k) → the row numbers of at most k vectors, and their inner products with the query, largest first."""


class VectorIndex(Protocol):
    """Finds the vectors with the largest inner product (maximum inner product search)."""

    def write(self, folder: Path, vectors: Vectors) -> None:
        """Write the index of a segment's vectors [n, d] into `folder`."""

    def open(self, folder: Path, vectors: Vectors) -> NeighbourSearch:
        """A search in what `write` wrote; `vectors` [n, d] are memory-mapped."""

    def identity(self) -> str:
        """Changes with every setting that changes what `write` writes."""
