"""Hybrid retrieval: several searches, fused by rank."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from luthier.api import PassageNumbers, PassageScores, RecipeError, ReusedRows, Search, SearchedSegment, check_names


class HybridSearch(Search):
    """Sum 1 / (k + rank) over several searches: reciprocal-rank fusion (Cormack et al., 2009).

    Each search contributes its best `depth` passages, or as many as are requested if that is more; a passage that is
    not among them adds nothing. `weights` multiplies the terms of a search, by its name; the default is 1.
    """

    def __init__(
        self,
        *,
        searches: Mapping[str, Search],
        k: int = 60,
        depth: int = 100,
        weights: dict[str, float] | None = None,
    ) -> None:
        if len(searches) < 2:
            raise RecipeError("A hybrid search needs two searches or more.", where="prompt.search.searches")
        check_names(weights or (), searches, kind="search", use="to give a weight to", where="prompt.search.weights")
        self.searches, self.k, self.depth, self.weights = searches, k, depth, weights or {}

    def write(self, folder: Path, texts: Sequence[str], reused: Sequence[ReusedRows]) -> None:
        for search in self.searches.values():
            search.write(folder, texts, reused)

    def open(self, segments: Sequence[SearchedSegment]) -> None:
        for search in self.searches.values():
            search.open(segments)

    def __call__(self, question: str, k: int) -> tuple[PassageNumbers, PassageScores]:
        scores: dict[int, float] = {}
        for name, search in self.searches.items():
            numbers, _ = search(question, max(self.depth, k))
            for rank, number in enumerate(numbers.tolist(), 1):
                scores[number] = scores.get(number, 0.0) + self.weights.get(name, 1.0) / (self.k + rank)
        best = sorted(scores, key=lambda number: (-scores[number], number))[:k]
        return np.array(best, dtype=np.int64), np.array([scores[number] for number in best], dtype=np.float32)

    def identity(self) -> str:
        return json.dumps(sorted(search.identity() for search in self.searches.values()))
