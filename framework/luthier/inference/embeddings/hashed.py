"""Embeddings without a model, by feature hashing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from luthier.errors import RecipeError
from luthier.inference.embeddings import Embedding, Vectors, of_length_one

_WORD = re.compile(r"\w+")


class Hashed(Embedding):
    """Add up a random sign vector for each word of a text (feature hashing, Weinberger et al., 2009).

    Nothing is fetched and nothing is learned: only equal words are alike. It is what tests and offline twins use.
    """

    def __init__(self, *, width: int = 256) -> None:
        if width < 8:
            raise RecipeError(f"An embedding of {width} numbers tells nothing apart.", hint="Use 8 or more.")
        self.width = width

    def __call__(self, texts: Sequence[str], *, is_query: bool = False) -> Vectors:
        found = np.zeros((len(texts), self.width), dtype=np.float32)
        for number, text in enumerate(texts):
            for word in _WORD.findall(text.lower()):
                found[number] += _signs(word, self.width)
        return of_length_one(found)

    def identity(self) -> str:
        return f"hashed-{self.width}"


@lru_cache(maxsize=1 << 16)
def _signs(word: str, width: int) -> Vectors:
    """±1, [width], the same for the same word everywhere."""
    bits = hashlib.shake_128(word.encode()).digest(-(-width // 8))
    return np.unpackbits(np.frombuffer(bits, dtype=np.uint8))[:width].astype(np.float32) * 2 - 1
