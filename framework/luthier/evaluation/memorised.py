"""Held-out examples that a model seems to know by heart: it completes their n-grams as a copy would.

Each text is cut into runs of `NGRAM` tokens, and the model completes each from all of the text before it, greedily (the
n-gram accuracy of Xu et al., "Benchmarking Benchmark Leakage in Large Language Models", 2024, arXiv 2404.18824, here
at every place of a text). What they compare with a paraphrase is compared here with general text, which shows how many
n-grams the model guesses of text that it has not learned by heart: a text is flagged whose completed n-grams would be
more than chance at that rate, at a level of `LEVEL` over all texts together (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from luthier.contracts.batch import TokenSequence
from luthier.contracts.examples import Example
from luthier.contracts.predictor import Predictor
from luthier.data.encoding import encode_text
from luthier.data.examples import example_text

NGRAM = 5
"""Tokens of an n-gram."""
LEVEL = 0.01
"""The chance that any text is flagged which is guessed no better than general text."""
FEWEST = 3
"""Completed n-grams below which nothing is flagged."""


@dataclass(frozen=True, slots=True)
class Known:
    """A text that the model seems to know by heart: where it stands, and how many of its n-grams it completes."""

    where: str
    completed: int
    of: int
    begins: str


@dataclass(frozen=True, slots=True)
class Memorised:
    """What was found: the flagged texts, how many were looked at, and the rate of general text."""

    known: list[Known]
    looked_at: int
    too_short: int
    general: float
    """The share of n-grams of general text that the model completes."""


def memorised(predictor: Predictor, examples: Sequence[Example], general: Sequence[str], length: int) -> Memorised:
    """Look for texts that the model knows by heart among the examples, each cut to `length` tokens."""
    texts = [example_text(example) for example in examples]
    of_general, of_texts = (_completed(predictor, which, length) for which in (general, texts))
    found, places = (sum(counts) for counts in zip(*of_general, strict=True))
    rate = (found + 1) / (places + 2)
    long_enough = [counts for counts in of_texts if counts[1]]
    level = LEVEL / max(1, len(long_enough))
    known = [
        Known(str(example.get("where", "")), completed, of, " ".join(text.split())[:60])
        for example, text, (completed, of) in zip(examples, texts, of_texts, strict=True)
        if completed >= FEWEST and by_chance(completed, of, rate) < level
    ]
    return Memorised(known, len(long_enough), len(texts) - len(long_enough), rate)


def by_chance(completed: int, of: int, rate: float) -> float:
    """The probability of so many or more of `of` at this rate: the tail of the binomial distribution."""
    return sum(comb(of, k) * rate**k * (1 - rate) ** (of - k) for k in range(completed, of + 1))


def _completed(predictor: Predictor, texts: Sequence[str], length: int) -> list[tuple[int, int]]:
    """Of each text how many n-grams the model completes, and of how many.

    The first has nothing before it, and one that stands in the text before is copied from there: neither counts.
    """
    length = min(length, predictor.tokenizer.model_max_length)
    encoded = [encode_text({"text": text}, predictor.tokenizer, end=False) for text in texts]
    cut = [TokenSequence(whole.ids[:length], whole.weights[:length]) for whole in encoded]
    return [_counts(one, hits) for one, hits in zip(cut, predictor.likeliest(cut), strict=True)]


def _counts(sequence: TokenSequence, hits: NDArray[np.bool_]) -> tuple[int, int]:
    ids = [int(token) for token in sequence.ids]
    seen, completed, of = set[tuple[int, ...]](), 0, 0
    for end in range(NGRAM, len(ids) + 1):
        ngram = tuple(ids[end - NGRAM : end])
        if end % NGRAM == 0 and end > NGRAM and ngram not in seen:
            completed += bool(hits[end - NGRAM : end].all())
            of += 1
        seen.add(ngram)
    return completed, of
