"""A measured number with its interval."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """A measured number with its 95 % bootstrap interval and the number of examples behind it."""

    value: float
    low: float
    high: float
    count: int
    better: str = "higher"


FEWEST_PAIRS = 6
"""With fewer pairs even a unanimous change happens by chance more than once in twenty: 2 / 2^5 > 0.05 (sign test)."""
