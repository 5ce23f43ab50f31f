"""Search and reranking of passages for a question."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import accumulate

from luthier_retrieval.chunking import Passage
from luthier_retrieval.reranking import Reranking
from luthier_retrieval.searches import Search
from luthier_retrieval.segment import Segment

CACHED_QUESTIONS = 4096
"""The number of questions whose passages are cached: a run encodes an example several times."""


class PassageSearch:
    """Searches the segments for `candidates` passages, reranks them and caches the result. Threads may share it."""

    def __init__(self, segments: Sequence[Segment], search: Search, reranking: Reranking, candidates: int) -> None:
        self.segments, self.search, self.reranking, self.candidates = segments, search, reranking, candidates
        self.starts = [0, *accumulate(map(len, segments))]
        self._cached = lru_cache(CACHED_QUESTIONS)(self._retrieve)

    def __call__(self, question: str) -> tuple[Passage, ...]:
        """The passages, the best first."""
        return self._cached(question)

    def _retrieve(self, question: str) -> tuple[Passage, ...]:
        numbers, _ = self.search(question, self.candidates)
        candidates = [self.passage(number) for number in numbers.tolist()]
        return tuple(candidates[place] for place in self.reranking(question, candidates)) if candidates else ()

    def passage(self, number: int) -> Passage:
        """The passage of a number, counted over all segments in order."""
        segment = bisect_right(self.starts, number) - 1
        return self.segments[segment].passage(number - self.starts[segment])

    def passages_of(self, names: Sequence[str], retrieved: Sequence[Passage]) -> list[Passage]:
        """The retrieved passages of the named documents; where there is none, the first passage of each document."""
        matching = [passage for passage in retrieved if passage.document in set(names)]
        return matching or [self.passage(self._first[name]) for name in names if name in self._first]

    @cached_property
    def _first(self) -> dict[str, int]:
        """The number of the first passage of each document."""
        first: dict[str, int] = {}
        for start, segment in zip(self.starts, self.segments, strict=False):
            for number, name in enumerate(segment.names(), start):
                first.setdefault(name, number)
        return first
