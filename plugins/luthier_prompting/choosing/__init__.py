"""Which prompts are tried on how many examples. One way a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

Score = Callable[[int, int, int], float]
"""(number of the instruction, number of the set of examples, how many questions) → score; more is better."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came out when a combination was asked so many questions."""

    instruction: int
    examples: int
    count: int
    value: float


class Choosing(Protocol):
    """Tries combinations; the best of those that were asked most questions wins."""

    def __call__(self, shape: tuple[int, int], score: Score, most: int, budget: int) -> list[Trial]:
        """`shape` is the number of instructions and of sets; `most` questions there are, and `budget` may be asked.

        The combination (0, 0) says nothing and shows nothing; it is tried, too.
        """
