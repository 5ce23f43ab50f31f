"""The best passages of an index for a question."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import accumulate

from luthier_retrieval.chunking import Passage
from luthier_retrieval.reranking import Reranking
from luthier_retrieval.searches import Search
from luthier_retrieval.segment import Segment

REMEMBERED = 4096
"""Questions whose passages are kept: an example is asked for several times in a run."""


class Finding:
    """Searches the segments, orders the `candidates` anew and remembers what it found. Threads may share it."""

    def __init__(self, segments: Sequence[Segment], search: Search, reranking: Reranking, candidates: int) -> None:
        self.segments, self.search, self.reranking, self.candidates = segments, search, reranking, candidates
        self.starts = [0, *accumulate(map(len, segments))]
        self._remembered = lru_cache(REMEMBERED)(self._found)

    def __call__(self, question: str) -> tuple[Passage, ...]:
        """The passages, the best one first."""
        return self._remembered(question)

    def _found(self, question: str) -> tuple[Passage, ...]:
        numbers, _ = self.search(question, self.candidates)
        found = [self.passage(number) for number in numbers.tolist()]
        return tuple(found[place] for place in self.reranking(question, found)) if found else ()

    def passage(self, number: int) -> Passage:
        """The passage of a number, counted over all segments in order."""
        segment = bisect_right(self.starts, number) - 1
        return self.segments[segment].passage(number - self.starts[segment])

    def of_documents(self, found: Sequence[Passage], names: Sequence[str]) -> list[Passage]:
        """Those of the passages found that are of the named documents; where there is none, these documents' first."""
        best = [passage for passage in found if passage.document in set(names)]
        return best or [self.passage(self._first[name]) for name in names if name in self._first]

    @cached_property
    def _first(self) -> dict[str, int]:
        """The number of the first passage of each document."""
        first: dict[str, int] = {}
        for start, segment in zip(self.starts, self.segments, strict=False):
            for number, name in enumerate(segment.names(), start):
                first.setdefault(name, number)
        return first
