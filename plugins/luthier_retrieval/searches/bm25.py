"""Sparse retrieval by BM25."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import bm25s
import numpy as np

from luthier.api import (
    WORDS_VERSION,
    PassageNumbers,
    PassageScores,
    ReusedRows,
    Search,
    SearchedSegment,
    top_k,
    words_of,
)
from luthier_retrieval.searches.inverted_index import InvertedIndex

FILES = "bm25"
BLANKS_PART = r"\S+"


class Bm25Search(Search):
    """Rank passages by the words that they share with a question, weighted by rarity (Robertson & Zaragoza, 2009).

    The score is the sum over the question's words of idf · tf / (tf + k1 · (1 - b + b · length / mean length)), with
    Lucene's idf, log(1 + (n - df + 0.5) / (df + 0.5)). `n`, `df` and the mean length are those of all segments, so that
    an index that grew scores as one that was built at once. Scripts without blanks between words are searched by pairs
    of letters, Chinese by single characters, too. `stopwords` names the language whose stop words are
    ignored.
    """

    def __init__(
        self,
        *,
        k1: float = 1.5,
        b: float = 0.75,
        stopwords: Literal["none", "en", "de", "nl", "fr", "es", "pt", "it", "ru", "sv", "no", "zh"] = "en",
    ) -> None:
        self.k1, self.b, self.stopwords = k1, b, stopwords
        self.indexes: list[InvertedIndex] = []
        self.count, self.mean_length = 0, 0.0

    def write(self, folder: Path, texts: Sequence[str], reused: Sequence[ReusedRows]) -> None:
        InvertedIndex.from_words(self._words(texts)).save(folder / FILES)

    def open(self, segments: Sequence[SearchedSegment]) -> None:
        self.indexes = [InvertedIndex.load(segment.folder / FILES) for segment in segments]
        self.count = sum(len(index.lengths) for index in self.indexes)
        self.mean_length = sum(int(index.lengths.sum()) for index in self.indexes) / max(self.count, 1)

    def __call__(self, question: str, k: int) -> tuple[PassageNumbers, PassageScores]:
        scores = self.scores(question)
        best = top_k(scores, k)
        best = best[scores[best] > 0]
        return best, scores[best]

    def scores(self, question: str) -> PassageScores:
        """The score of each passage, [n]; 0 where no word is shared."""
        words = self._words([question])[0]
        scores = [np.zeros(len(index.lengths), dtype=np.float32) for index in self.indexes]
        for word in set(words):
            postings = [index.postings(word) for index in self.indexes]
            document_frequency = sum(len(passages) for passages, _ in postings)
            if not document_frequency:
                continue
            odds = (self.count - document_frequency + 0.5) / (document_frequency + 0.5)
            idf = words.count(word) * np.log(1 + odds)
            for index, score, (passages, counts) in zip(self.indexes, scores, postings, strict=True):
                length_norm = 1 - self.b + self.b * index.lengths[passages] / self.mean_length
                score[passages] += (idf * counts / (counts + self.k1 * length_norm)).astype(np.float32)
        return np.concatenate(scores) if scores else np.zeros(0, dtype=np.float32)

    def identity(self) -> str:
        return json.dumps(["bm25", bm25s.__version__.split(".")[:2], self.stopwords, WORDS_VERSION])

    def _words(self, texts: Sequence[str]) -> list[list[str]]:
        words = words_of(texts)
        if self.stopwords == "none":
            return words
        parted = [" ".join(each) for each in words]  # the library leaves out the stop words of texts
        kept: list[list[str]] = bm25s.tokenize(
            parted,
            token_pattern=BLANKS_PART,
            lower=False,
            stopwords=self.stopwords,
            return_ids=False,
            show_progress=False,
        )
        return kept
