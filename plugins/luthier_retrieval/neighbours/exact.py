"""Look at all vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luthier.api import Vectors
from luthier_retrieval.neighbours import Near, Neighbours
from luthier_retrieval.searches import best


class Exact(Neighbours):
    """Multiply with every vector: never wrong, and its time grows with their number."""

    def write(self, folder: Path, vectors: Vectors) -> None:
        """Nothing more than the vectors is needed."""

    def open(self, folder: Path, vectors: Vectors) -> Near:
        def near(vector: Vectors, most: int) -> tuple[NDArray[np.int64], Vectors]:
            products = vectors @ vector
            found = best(products, most)
            return found, products[found]

        return near

    def identity(self) -> str:
        return "exact"
