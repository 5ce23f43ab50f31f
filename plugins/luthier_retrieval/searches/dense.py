"""Dense retrieval by embeddings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from luthier.api import Embedding, PassageNumbers, PassageScores, ReusedRows, Search, SearchedSegment, top_k
from luthier_retrieval.neighbours import NeighbourSearch, VectorIndex

FOLDER, VECTORS = "dense", "vectors.npy"
BATCH = 1024
"""The number of texts that are embedded at a time."""


class DenseSearch(Search):
    """Rank passages by the inner product of their embedding with the question's (Karpukhin et al., 2020).

    Each passage is embedded once. `neighbours` is the vector index: exact, or an approximate graph.
    """

    def __init__(self, *, embedding: Embedding, neighbours: VectorIndex) -> None:
        self.embedding, self.neighbours = embedding, neighbours
        self.segments: list[tuple[int, NeighbourSearch]] = []  # the number of its first passage, its search

    def write(self, folder: Path, texts: Sequence[str], reused: Sequence[ReusedRows]) -> None:
        old = [_vectors(one.folder)[one.rows] for one in reused]
        new = texts[sum(map(len, old)) :]
        embedded = [self.embedding(new[start : start + BATCH]) for start in range(0, len(new), BATCH)]
        vectors = np.concatenate([*old, *embedded] or [self.embedding([])])
        place = folder / FOLDER
        place.mkdir()
        np.save(place / VECTORS, vectors, allow_pickle=False)
        self.neighbours.write(place, vectors)

    def open(self, segments: Sequence[SearchedSegment]) -> None:
        self.segments, start = [], 0
        for segment in segments:
            self.segments.append((start, self.neighbours.open(segment.folder / FOLDER, _vectors(segment.folder))))
            start += len(segment)

    def __call__(self, question: str, k: int) -> tuple[PassageNumbers, PassageScores]:
        query = self.embedding([question], is_query=True)[0]
        if not query.any() or not self.segments:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        nearest = [(start + rows, scores) for start, search in self.segments for rows, scores in [search(query, k)]]
        numbers = np.concatenate([numbers for numbers, _ in nearest])
        scores = np.concatenate([scores for _, scores in nearest])
        best = top_k(scores, k)
        return numbers[best], scores[best]

    def identity(self) -> str:
        return json.dumps(["dense", self.embedding.identity(), self.neighbours.identity()])


def _vectors(folder: Path) -> PassageScores:
    """The memory-mapped embeddings [n, d] of a segment."""
    vectors: PassageScores = np.load(folder / FOLDER / VECTORS, mmap_mode="r", allow_pickle=False)
    return vectors
