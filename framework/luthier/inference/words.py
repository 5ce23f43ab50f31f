"""The words of texts, also in scripts that write no blanks between words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import regex

WORDS_VERSION = 2
"""Part of what an index is built with: raise it when the words of the same text change."""
_WITHOUT_BLANKS = "".join(
    rf"\p{{Script={name}}}"
    for name in ("Han", "Hiragana", "Katakana", "Bopomofo", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Javanese")
)
_PIECES = regex.compile(
    rf"(?P<run>(?:[[\p{{L}}\p{{N}}]&&[{_WITHOUT_BLANKS}\u30fc]]\p{{M}}*)+)"
    rf"|(?P<word>[[\p{{L}}\p{{N}}\p{{M}}_]--[[\p{{L}}\p{{N}}]&&[{_WITHOUT_BLANKS}\u30fc]]]+)",
    regex.V1,
)
_LETTERS = regex.compile(r"\P{M}\p{M}*|\p{M}+")
_HAN = regex.compile(r"\p{Script=Han}")
_ASCII = re.compile(r"\w\w+", re.ASCII)


def words_of(texts: Sequence[str]) -> list[list[str]]:
    """The words of each text, in lower case, in order; words of one letter do not count.

    Where a script writes no blanks between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese, …), the words are all
    pairs of neighbouring letters, with their vowel signs, as Lucene's CJKAnalyzer has them; and each Chinese character,
    which may be a word of its own. Forms of compatibility (full-width letters, ligatures) count as the usual ones.
    TypeError for a single text, whose letters would count as texts.
    """
    if isinstance(texts, str):
        raise TypeError(f"words_of takes a list of texts, and was given the single text {texts[:40]!r}.")
    return [list(_words(text)) for text in texts]


def _words(text: str) -> Iterator[str]:
    if text.isascii():
        yield from _ASCII.findall(text.lower())
        return
    for piece in _PIECES.finditer(unicodedata.normalize("NFKC", text).lower().replace("i\u0307", "i")):
        if (word := piece["word"]) is None:
            yield from _neighbours(piece["run"])
        elif len(word) > 1:
            yield word


def _neighbours(run: str) -> Iterator[str]:
    letters = _LETTERS.findall(run)
    if len(letters) == 1:
        yield run
        return
    for number, letter in enumerate(letters):
        if _HAN.match(letter):
            yield letter
        if number + 1 < len(letters):
            yield letter + letters[number + 1]
