"""Bars for shares that add up to one, with a line at where each would stand if all were even."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 220, 28
MOST = 110
"""How many bars fit; of more shares, each bar is the largest of its neighbours."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, in the units of the picture."""

    x: float
    y: float
    width: float
    height: float


def bars(shares: Sequence[float]) -> list[Bar]:
    """The bars of shares from left to right, the largest as high as the picture."""
    size = -(-len(shares) // MOST)
    heights = [max(shares[at : at + size]) for at in range(0, len(shares), size)]
    width, scale = WIDTH / len(heights), HEIGHT / (max(heights) or 1.0)
    return [
        Bar(round(at * width, 2), round(HEIGHT - share * scale, 2), round(width * 0.8, 2), round(share * scale, 2))
        for at, share in enumerate(heights)
    ]


def even(shares: Sequence[float]) -> float:
    """How far from the top the line of even shares is."""
    return round(HEIGHT - HEIGHT / len(shares) / (max(shares) or 1.0), 2)
