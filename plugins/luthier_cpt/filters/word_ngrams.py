"""Word n-grams of a text, by which filters compare texts."""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = re.compile(r"\w+")


def word_ngrams(text: str, n: int) -> Iterator[str]:
    """Each run of `n` words in lower case, without punctuation, joined by spaces; none for a text of fewer words."""
    words = _WORD.findall(text.lower())
    return (" ".join(words[start : start + n]) for start in range(len(words) - n + 1))


def all_words(text: str) -> str:
    """All words of a text in lower case, without punctuation, joined by spaces."""
    return " ".join(_WORD.findall(text.lower()))
