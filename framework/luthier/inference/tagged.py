"""The entities that a tagger finds in a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.data.tagging.tags import spans_of
from luthier.data.tagging.words import Word
from luthier.inference.tag_decoding import rules_of


@dataclass(frozen=True, slots=True)
class Entity:
    """A span of a text with its label."""

    label: str
    """What it is, such as ORG."""
    text: str
    """The characters that it covers."""
    start: int
    """Its first character in the text."""
    end: int
    """The character behind its last one."""
    probability: float
    """That exactly this span has this label, among all sequences of tags that are possible."""


def entities_of(text: str, words: Sequence[Word], scores: NDArray[np.floating], tags: tuple[str, ...]) -> list[Entity]:
    """The entities of the most probable possible sequence of tags, from log p(tag) of each word [words, tags]."""
    rules, given = rules_of(tags), np.asarray(scores, np.float64)
    spans, _ = spans_of(rules.best(given))
    found = []
    for span, probability in zip(spans, rules.span_probabilities(given, spans), strict=True):
        start, end = words[span.start][0], words[span.end - 1][1]
        found.append(Entity(span.label, text[start:end], start, end, probability))
    return found
