"""What a training example shows of what was found. One way a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from luthier.api import Example
from luthier_retrieval.chunking import Passage


@dataclass(frozen=True, slots=True)
class Lesson:
    """The passages that a training example shows, and the answer that it teaches; None is its own."""

    passages: list[Passage]
    answer: str | None = None


class Teaching(Protocol):
    """Chooses what the examples of the training split are shown; those that are measured see what is found."""

    def __call__(
        self, example: Example, found: Sequence[Passage], right: Sequence[Passage], shown: int, absent: str
    ) -> Lesson:
        """`found` are the best passages, `right` those of them, or else of all, from the `relevant` documents.

        At most `shown` passages are to be chosen. It must depend on nothing but what is given.
        """
