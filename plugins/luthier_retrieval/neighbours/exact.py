"""Exact nearest neighbours by exhaustive search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luthier.api import Vectors, top_k
from luthier_retrieval.neighbours import NeighbourSearch, VectorIndex


class Exact(VectorIndex):
    """Multiply the query with every vector: exact, in time linear in the number of vectors."""

    def write(self, folder: Path, vectors: Vectors) -> None:
        """Writes nothing: the vectors themselves are enough."""

    def open(self, folder: Path, vectors: Vectors) -> NeighbourSearch:
        def search(query: Vectors, k: int) -> tuple[NDArray[np.int64], Vectors]:
            products = vectors @ query
            numbers = top_k(products, k)
            return numbers, products[numbers]

        return search

    def identity(self) -> str:
        return "exact"
