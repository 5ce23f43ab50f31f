"""Search and reranking of passages for a question."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from luthier.api import Search, misreturned
from luthier_retrieval.chunking import Passage
from luthier_retrieval.reranking import Reranking
from luthier_retrieval.segment import Digests, Segment

CACHED_QUESTIONS = 4096
"""The number of questions whose passages are cached: a run encodes an example several times."""


class PassageSearch:
    """Searches the segments for `candidates` passages, reranks them and caches the result. Threads may share it.

    Passages with the same headings and text are one, which names all documents that hold it.
    """

    def __init__(self, segments: Sequence[Segment], search: Search, reranking: Reranking, candidates: int) -> None:
        self.segments, self.search, self.reranking, self.candidates = segments, search, reranking, candidates
        self.starts = [0, *accumulate(map(len, segments))]
        self._cached = lru_cache(CACHED_QUESTIONS)(self._retrieve)

    def __call__(self, question: str) -> tuple[Passage, ...]:
        """The passages, the best first."""
        return self._cached(question)

    def _retrieve(self, question: str) -> tuple[Passage, ...]:
        candidates = [self._with_places(number) for number in self._distinct(question)]
        return tuple(candidates[place] for place in self.reranking(question, candidates)) if candidates else ()

    def _distinct(self, question: str) -> list[int]:
        """The numbers of the best passages, of equal ones the first: `candidates`, or as many as there are."""
        count = self.candidates
        while True:
            numbers = self._searched(question, count)
            _, firsts = np.unique(self._digests[numbers], return_index=True)
            if len(firsts) >= self.candidates or len(numbers) < count or count >= self.starts[-1]:
                return [int(numbers[place]) for place in sorted(firsts)[: self.candidates]]
            count *= 2

    def _searched(self, question: str, count: int) -> NDArray[np.int64]:
        """The numbers that the search gives; PluginError that names it where they are none of passages."""
        given = self.search(question, count)
        expected = f"numbers of at most {count} of {self.starts[-1]} passages, and their scores"
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise misreturned(self.search, expected, given)
        numbers = np.asarray(given[0])
        if numbers.size == 0:
            return np.zeros(0, np.int64)
        fits = numbers.ndim == 1 and len(numbers) <= count and np.issubdtype(numbers.dtype, np.integer)
        if not fits or numbers.min() < 0 or numbers.max() >= self.starts[-1]:
            raise misreturned(self.search, expected, numbers.tolist())
        scores = np.asarray(given[1])
        if scores.shape != numbers.shape or not np.issubdtype(scores.dtype, np.number) or np.isnan(scores).any():
            raise misreturned(self.search, "a score that is a number for each passage", scores.tolist())
        return numbers

    def _with_places(self, number: int) -> Passage:
        """The first of the passages that are equal to that of a number, with the other documents that hold it."""
        order, digest = self._order, self._digests[number]
        first, last = (np.searchsorted(self._digests, digest, side, sorter=order) for side in ("left", "right"))
        equal = [self.passage(each) for each in sorted(order[first:last].tolist())]
        names = dict.fromkeys(passage.document for passage in equal)
        return replace(equal[0], also=tuple(names)[1:])

    @cached_property
    def _digests(self) -> Digests:
        return np.concatenate([segment.digests for segment in self.segments] or [np.zeros(0, np.uint64)])

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        """The numbers of the passages, equal ones side by side."""
        return np.argsort(self._digests, kind="stable")

    def passage(self, number: int) -> Passage:
        """The passage of a number, counted over all segments in order."""
        segment = bisect_right(self.starts, number) - 1
        return self.segments[segment].passage(number - self.starts[segment])

    def passages_of(self, names: Sequence[str], retrieved: Sequence[Passage]) -> list[Passage]:
        """The retrieved passages of the named documents; where there is none, the first passage of each document."""
        matching = [passage for passage in retrieved if not set(names).isdisjoint(passage.documents)]
        return matching or [self.passage(self._first[name]) for name in names if name in self._first]

    @cached_property
    def _first(self) -> dict[str, int]:
        """The number of the first passage of each document."""
        first: dict[str, int] = {}
        for start, segment in zip(self.starts, self.segments, strict=False):
            for number, name in enumerate(segment.names(), start):
                first.setdefault(name, number)
        return first
