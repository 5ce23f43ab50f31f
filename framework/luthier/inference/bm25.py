"""Lexical retrieval: BM25, and the cosine of TF-IDF vectors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import bm25s
import numpy as np
from numpy.typing import NDArray

from luthier.inference.words import words_of


class Bm25:
    """Ranks texts by the words that they share with a question, rare ones counting more (Robertson & Zaragoza, 2009).

    The idf is Lucene's, log(1 + (n - df + 0.5) / (df + 0.5)); `k1` says how fast a repeated word stops counting, `b`
    how much a long text is held against it.
    """

    def __init__(self, texts: Sequence[str], *, k1: float, b: float) -> None:
        self.count = len(texts)  # number of indexed texts
        words = words_of(texts)
        self.known = {word for each in words for word in each}  # the vocabulary of the texts
        self.index = bm25s.BM25(method="lucene", k1=k1, b=b)  # the library's index of the texts
        if self.known:
            self.index.index(words, show_progress=False)

    def scores(self, text: str) -> NDArray[np.float32]:
        """The score of each text, [n]; 0 where no word is shared."""
        asked = [word for word in words_of([text])[0] if word in self.known]
        if not asked:
            return np.zeros(self.count, dtype=np.float32)
        found: NDArray[np.float32] = self.index.get_scores(asked)
        return found

    def ranked(self, text: str) -> list[int]:
        """The numbers of all texts, the nearest one first; of equal ones the earlier one."""
        order: list[int] = np.argsort(-self.scores(text), kind="stable").tolist()
        return order


class TfIdf:
    """Texts as weighted words, tf · (log((1 + n) / (1 + df)) + 1), of length 1, so that their cosine is a product.

    `count` is the number n of texts, `frequency` the number of texts df that hold each word.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        words = words_of(texts)
        self.count, self.frequency = len(texts), Counter(word for each in words for word in set(each))
        self.texts = [self._weighted(each) for each in words]  # word -> weight, of each text

    def of(self, text: str) -> Mapping[str, float]:
        """The weighted words of a text, of length 1; words of no indexed text count as the rarest."""
        return self._weighted(words_of([text])[0])

    def _weighted(self, words: Sequence[str]) -> Mapping[str, float]:
        rarity = {word: math.log((1 + self.count) / (1 + self.frequency[word])) + 1 for word in set(words)}
        raw = {word: number * rarity[word] for word, number in Counter(words).items()}
        length = math.sqrt(sum(weight * weight for weight in raw.values())) or 1.0
        return {word: weight / length for word, weight in raw.items()}


def cosine(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """The cosine of two texts as weighted words."""
    few, many = sorted((one, other), key=len)
    return sum(weight * many.get(word, 0.0) for word, weight in few.items())
