"""The words of a text, which carry its tags: runs of letters and digits, and each sign by itself."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from luthier.contracts.examples import Example
from luthier.errors import DataError

Word = tuple[int, int]
"""Where a word begins and ends in its text, in characters."""

_WITHOUT_SPACES = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
"""Kana and Chinese characters, of which each is a word."""


def text_words(text: str) -> list[Word]:
    """Runs of letters, digits, marks and underscores, and each other character that is no white space by itself.

    As the tokenizers of BERT cut a text before they look for word pieces; Chinese characters and kana are words.
    """
    found: list[Word] = []
    running = False
    for place, character in enumerate(text):
        kind = _kind(character)
        if kind == "letter" and running:
            found[-1] = (found[-1][0], place + 1)
        elif kind != "space":
            found.append((place, place + 1))
        running = kind == "letter"
    return found


@lru_cache(maxsize=1 << 14)
def _kind(character: str) -> str:
    if character.isspace():
        return "space"
    category, code = unicodedata.category(character), ord(character)
    if any(first <= code <= last for first, last in _WITHOUT_SPACES):
        return "sign"
    return "letter" if category[0] in "LMN" or category in ("Pc", "Cf") else "sign"


def example_words(example: Example) -> list[Word]:
    """The words that the data gives an example in `words`, else those of its text; DataError where it has no text."""
    text, given = example.get("text"), example.get("words")
    if not isinstance(text, str):
        raise DataError("There is no `text` to tag.", hint="Name its column with data/format=spans data.format.text=…")
    return text_words(text) if given is None else [(int(begin), int(end)) for begin, end in given]
