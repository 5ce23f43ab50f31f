"""Overlapping windows over a text that is longer than a network reads at once."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens [begin, end) of a text, of which [first, last) are answered for: those with the most context here."""

    begin: int
    end: int
    first: int
    last: int


def windows(tokens: int, size: int) -> list[Window]:
    """Windows of at most `size` tokens that overlap by a quarter; each token is answered for in exactly one of them."""
    if size < 1:
        raise RecipeError(
            f"A window of {size} tokens holds nothing of a text.", where="batch.length", hint="Raise batch.length."
        )
    if tokens <= size:
        return [Window(0, tokens, 0, tokens)]
    overlap = size // 4
    begins = [*range(0, tokens - size, size - overlap), tokens - size]
    ends = [begin + size for begin in begins]
    borders = [0, *((begin + end) // 2 for begin, end in zip(begins[1:], ends, strict=False)), tokens]
    return [
        Window(begin, end, first, last)
        for begin, end, first, last in zip(begins, ends, borders, borders[1:], strict=False)
    ]
