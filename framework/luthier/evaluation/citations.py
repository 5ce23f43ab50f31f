"""What an answer cites: numbers in square brackets."""

from __future__ import annotations

import re

_NUMBERS = re.compile(r"\[(\d+(?:\s*,\s*\d+)*)\]")


def cited_numbers(answer: str) -> list[int]:
    """The numbers that an answer cites, each once, in order: those of `[2]` and `[1, 3]`."""
    numbers = (int(number) for found in _NUMBERS.findall(answer) for number in found.split(","))
    return list(dict.fromkeys(numbers))


def without_citations(answer: str) -> str:
    """The answer's words alone."""
    return re.sub(r"\s+([.,;:!?])", r"\1", _NUMBERS.sub("", answer)).strip()


def says_not_found(answer: str, absent: str) -> bool:
    """Whether an answer is that the documents do not say it; case and what stands around do not count."""
    return absent.strip(" .!").lower() in answer.lower()
