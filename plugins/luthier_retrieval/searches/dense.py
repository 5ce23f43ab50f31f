"""Passages found by what they mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from luthier.api import Embedding
from luthier_retrieval.neighbours import Near, Neighbours
from luthier_retrieval.searches import Kept, Numbers, Scores, Search, best
from luthier_retrieval.segment import Segment

FOLDER, VECTORS = "dense", "vectors.npy"
AT_ONCE = 1024


class Dense(Search):
    """Rank passages by the product of their vector with the question's; each is embedded once and kept.

    `neighbours` says how near vectors are found: by looking at all of them, or along a graph.
    """

    def __init__(self, *, embedding: Embedding, neighbours: Neighbours) -> None:
        self.embedding, self.neighbours = embedding, neighbours
        self.parts: list[tuple[int, Near]] = []

    def write(self, folder: Path, texts: Sequence[str], kept: Sequence[Kept]) -> None:
        there = [_vectors(each.folder)[each.rows] for each in kept]
        new = texts[sum(map(len, there)) :]
        found = [self.embedding(new[start : start + AT_ONCE]) for start in range(0, len(new), AT_ONCE)]
        parts = [*there, *found] or [self.embedding([])]
        vectors = np.concatenate(parts)
        place = folder / FOLDER
        place.mkdir()
        np.save(place / VECTORS, vectors, allow_pickle=False)
        self.neighbours.write(place, vectors)

    def open(self, segments: Sequence[Segment]) -> None:
        self.parts, start = [], 0
        for segment in segments:
            self.parts.append((start, self.neighbours.open(segment.folder / FOLDER, _vectors(segment.folder))))
            start += len(segment)

    def __call__(self, question: str, most: int) -> tuple[Numbers, Scores]:
        vector = self.embedding([question], is_query=True)[0]
        if not vector.any() or not self.parts:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        found = [(start + numbers, scores) for start, near in self.parts for numbers, scores in [near(vector, most)]]
        numbers = np.concatenate([numbers for numbers, _ in found])
        scores = np.concatenate([scores for _, scores in found])
        chosen = best(scores, most)
        return numbers[chosen], scores[chosen]

    def identity(self) -> str:
        return json.dumps(["dense", self.embedding.identity(), self.neighbours.identity()])


def _vectors(folder: Path) -> Scores:
    vectors: Scores = np.load(folder / FOLDER / VECTORS, mmap_mode="r", allow_pickle=False)
    return vectors
