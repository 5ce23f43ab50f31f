"""Approximate nearest neighbours by a hierarchical navigable small-world graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from luthier.api import Needs, Vectors, imported
from luthier_retrieval.neighbours import NeighbourSearch, VectorIndex

FILE = "hnsw.faiss"


class Hnsw(VectorIndex):
    """FAISS's HNSW graph (Malkov & Yashunin, 2018): its time hardly grows with the vectors; it may miss a neighbour.

    Each vector has `links` links (M); building considers `build` candidates for each (efConstruction), and a search the
    larger of `look` and the requested number (efSearch). Each segment has its own graph, so that adding documents does
    not change the other segments.
    """

    needs: ClassVar[Needs] = {"faiss": "luthier[retrieval]"}

    def __init__(self, *, links: int = 32, build: int = 100, look: int = 128) -> None:
        self.links, self.build, self.look = links, build, look

    def write(self, folder: Path, vectors: Vectors) -> None:
        faiss = self._faiss()
        graph = faiss.IndexHNSWFlat(vectors.shape[1], self.links, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = self.build
        graph.add(np.ascontiguousarray(vectors))
        faiss.write_index(graph, str(folder / FILE))

    def open(self, folder: Path, vectors: Vectors) -> NeighbourSearch:
        faiss = self._faiss()
        graph = faiss.read_index(str(folder / FILE))

        def search(query: Vectors, k: int) -> tuple[NDArray[np.int64], Vectors]:
            settings = faiss.SearchParametersHNSW(efSearch=max(self.look, k))
            scores, numbers = graph.search(query[None], min(k, len(vectors)), params=settings)
            reached = numbers[0] >= 0  # FAISS pads with -1 where the graph reaches fewer than k
            return numbers[0][reached], scores[0][reached]

        return search

    def identity(self) -> str:
        return json.dumps(["hnsw", self.links, self.build])

    def _faiss(self) -> Any:
        return imported("faiss", self.needs["faiss"], "prompt/neighbours=hnsw", where="prompt.search.neighbours")
