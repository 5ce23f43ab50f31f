"""Passages found by their words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import bm25s
import numpy as np

from luthier_retrieval.searches import Kept, Numbers, Scores, Search, best
from luthier_retrieval.searches.postings import Postings
from luthier_retrieval.segment import Segment

FILES = "bm25"


class Bm25(Search):
    """Rank passages by the words that they share with a question, rare ones counting more (Robertson & Zaragoza, 2009).

    The sum over the question's words of idf · tf / (tf + k1 · (1 - b + b · length / mean length)), with Lucene's idf,
    log(1 + (n - df + 0.5) / (df + 0.5)). `n`, `df` and the mean length are those of all segments, so that an index
    which grew scores as one that was built at once. `stopwords` are the language whose most common words do not count.
    """

    def __init__(
        self,
        *,
        k1: float = 1.5,
        b: float = 0.75,
        stopwords: Literal["none", "en", "de", "nl", "fr", "es", "pt", "it", "ru", "sv", "no", "zh"] = "en",
    ) -> None:
        self.k1, self.b, self.stopwords = k1, b, stopwords
        self.parts: list[Postings] = []

    def write(self, folder: Path, texts: Sequence[str], kept: Sequence[Kept]) -> None:
        Postings.of(self._words(texts)).save(folder / FILES)

    def open(self, segments: Sequence[Segment]) -> None:
        self.parts = [Postings.load(segment.folder / FILES) for segment in segments]
        self.count = sum(len(part.lengths) for part in self.parts)
        self.mean_length = sum(int(part.lengths.sum()) for part in self.parts) / max(self.count, 1)

    def __call__(self, question: str, most: int) -> tuple[Numbers, Scores]:
        scores = self.scores(question)
        found = best(scores, most)
        found = found[scores[found] > 0]
        return found, scores[found]

    def scores(self, question: str) -> Scores:
        """The score of each passage, [n]; 0 where no word is shared."""
        words = self._words([question])[0]
        scores = [np.zeros(len(part.lengths), dtype=np.float32) for part in self.parts]
        for word in set(words):
            found = [part.of_word(word) for part in self.parts]
            frequency = sum(len(passages) for passages, _ in found)
            if not frequency:
                continue
            rarity = words.count(word) * np.log(1 + (self.count - frequency + 0.5) / (frequency + 0.5))
            for part, score, (passages, counts) in zip(self.parts, scores, found, strict=True):
                long = 1 - self.b + self.b * part.lengths[passages] / self.mean_length
                score[passages] += (rarity * counts / (counts + self.k1 * long)).astype(np.float32)
        return np.concatenate(scores) if scores else np.zeros(0, dtype=np.float32)

    def identity(self) -> str:
        return json.dumps(["bm25", bm25s.__version__.split(".")[:2], self.stopwords])

    def _words(self, texts: Sequence[str]) -> list[list[str]]:
        stopwords = None if self.stopwords == "none" else self.stopwords
        found: list[list[str]] = bm25s.tokenize(list(texts), stopwords=stopwords, return_ids=False, show_progress=False)
        return found
