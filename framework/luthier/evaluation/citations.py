"""Citations in an answer: numbers in square brackets."""

from __future__ import annotations

import re

_NUMBERS = re.compile(r"\[(\d+(?:\s*,\s*\d+)*)\]")


def cited_numbers(answer: str) -> list[int]:
    """The numbers that an answer cites, each once, in order: those of `[2]` and `[1, 3]`."""
    numbers = (int(number) for group in _NUMBERS.findall(answer) for number in group.split(","))
    return list(dict.fromkeys(numbers))


def without_citations(answer: str) -> str:
    """The answer without its citations."""
    return re.sub(r"\s+([.,;:!?])", r"\1", _NUMBERS.sub("", answer)).strip()


def says_not_found(answer: str, absent: str) -> bool:
    """Whether an answer contains the phrase `absent`, by which a model declines to answer; case does not count."""
    return absent.strip(" .!").lower() in answer.lower()
