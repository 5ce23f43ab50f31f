"""Go along a graph of near vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from luthier.api import Needs, Vectors, imported
from luthier_retrieval.neighbours import Near, Neighbours

FILE = "hnsw.faiss"


class Hnsw(Neighbours):
    """FAISS's hierarchical graph (Malkov & Yashunin, 2018): its time hardly grows, and it may miss a neighbour.

    Each vector has `links` links; building looks at `build` candidates for each, a search at `look` of them or as many
    as are asked for. Each segment has a graph of its own, so that what is added leaves the others as they are.
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

    def open(self, folder: Path, vectors: Vectors) -> Near:
        faiss = self._faiss()
        graph = faiss.read_index(str(folder / FILE))

        def near(vector: Vectors, most: int) -> tuple[NDArray[np.int64], Vectors]:
            settings = faiss.SearchParametersHNSW(efSearch=max(self.look, most))
            scores, numbers = graph.search(vector[None], min(most, len(vectors)), params=settings)
            found = numbers[0] >= 0  # fewer were reached
            return numbers[0][found], scores[0][found]

        return near

    def identity(self) -> str:
        return json.dumps(["hnsw", self.links, self.build])

    def _faiss(self) -> Any:
        return imported("faiss", self.needs["faiss"], "prompt/neighbours=hnsw", where="prompt.search.neighbours")
