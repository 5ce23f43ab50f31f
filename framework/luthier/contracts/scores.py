"""A measured number with its interval."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """A measured number with its 95 % bootstrap interval and the number of examples behind it."""

    value: float
    """The measured number, over all examples."""
    low: float
    """The lower end of the 95 % bootstrap interval."""
    high: float
    """The upper end of the 95 % bootstrap interval."""
    count: int
    """The number of examples measured."""
    better: str = "higher"
    """`higher` or `lower`."""


FEWEST_PAIRS = 6
"""With fewer pairs even a unanimous change happens by chance more than once in twenty: 2 / 2^5 > 0.05 (sign test)."""
