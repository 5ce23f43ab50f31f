"""Decoding of tags under the rules of their scheme: the most probable possible sequence, and probabilities of spans.

A sequence of tags is possible if it stands for spans: an inside follows a beginning or inside of its label, and so on.
Among the possible ones a sequence has a probability in proportion to the product of those of its tags: a conditional
random field (Lafferty et al., 2001) whose transitions are allowed or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from luthier.data.tagging.tags import Span, split_tag

Scores = NDArray[np.floating]
"""log p(tag) of each word, [words, tags]."""
NEVER = -1e9
"""The score of what is not allowed: finite, so that sums stay numbers."""


class TagRules:
    """Which tags may begin and end a text, and which may follow which; by name, of BIO or BILOU."""

    def __init__(self, tags: Sequence[str]) -> None:
        self.tags = tuple(tags)
        """In the order of the scores."""
        parts = [split_tag(tag) for tag in tags]
        closes = {label for letter, label in parts if letter == "L"}
        count = len(parts)
        self._begins, self._ends, self._follows = (np.full(shape, NEVER) for shape in (count, count, (count, count)))
        for one, (letter, label) in enumerate(parts):
            opened = letter in "BI" and label in closes  # BILOU: it must go on
            if letter not in "IL":
                self._begins[one] = 0
            if not opened:
                self._ends[one] = 0
            for other, (following, of) in enumerate(parts):
                inside = following in "IL"
                goes_on = letter in "BI" and of == label
                if goes_on if inside else not opened:
                    self._follows[one, other] = 0

    def best(self, scores: Scores) -> list[str]:
        """The possible sequence of tags whose scores have the largest sum (Viterbi, 1967)."""
        if not len(scores):
            return []
        reached, came = self._begins + scores[0], np.zeros(scores.shape, dtype=np.intp)
        for word, own in enumerate(scores[1:], start=1):
            ways = reached[:, None] + self._follows
            came[word] = ways.argmax(0)
            reached = ways.max(0) + own
        path = [int((reached + self._ends).argmax())]
        for word in range(len(scores) - 1, 0, -1):
            path.append(int(came[word, path[-1]]))
        return [self.tags[tag] for tag in reversed(path)]

    def span_probabilities(self, scores: Scores, spans: Sequence[Span]) -> list[float]:
        """The probability of each span, with exactly these words and this label, among all possible sequences."""
        if not spans:
            return []
        forward, backward = self._sums(scores)
        total = _log_sum(forward[-1] + self._ends)
        return [float(np.exp(self._through(scores, forward, backward, span) - total)) for span in spans]

    def _sums(self, scores: Scores) -> tuple[Scores, Scores]:
        """log-sums over the possible sequences up to each word, its own score included, and behind each word."""
        forward, backward = np.zeros(scores.shape), np.zeros(scores.shape)
        forward[0], backward[-1] = self._begins + scores[0], self._ends
        for word in range(1, len(scores)):
            forward[word] = _log_sum(forward[word - 1][:, None] + self._follows, axis=0) + scores[word]
        for word in range(len(scores) - 2, -1, -1):
            backward[word] = _log_sum(self._follows + (scores[word + 1] + backward[word + 1])[None], axis=1)
        return forward, backward

    def _through(self, scores: Scores, forward: Scores, backward: Scores, span: Span) -> float:
        """The log-sum over the sequences that have exactly this span."""
        path = self._path(span)
        first, last = path[0], path[-1]
        before = self._begins[first] if span.start == 0 else _log_sum(forward[span.start - 1] + self._follows[:, first])
        inner = sum(float(scores[span.start + place, tag]) for place, tag in enumerate(path))
        closed = np.array(
            [split_tag(tag) != ("I", span.label) and split_tag(tag) != ("L", span.label) for tag in self.tags]
        )
        if span.end == len(scores):
            after = self._ends[last]
        else:
            onward = self._follows[last] + scores[span.end] + backward[span.end]
            after = _log_sum(np.where(closed, onward, NEVER))
        return float(before) + inner + float(after)

    def _path(self, span: Span) -> list[int]:
        length = span.end - span.start
        letters = ["B", *("I" * (length - 1))]
        if f"U-{span.label}" in self.tags:
            letters = ["U"] if length == 1 else [*letters[:-1], "L"]
        return [self.tags.index(f"{letter}-{span.label}") for letter in letters]


@lru_cache(maxsize=64)
def rules_of(tags: tuple[str, ...]) -> TagRules:
    """The rules of these tags, which follow from their names."""
    return TagRules(tags)


def _log_sum(values: Scores, axis: int | None = None) -> Scores:
    summed: Scores = np.logaddexp.reduce(values, axis=axis)
    return summed
