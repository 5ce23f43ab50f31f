"""The choice of the passages that training examples show, one class a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from luthier.api import Example
from luthier_retrieval.chunking import Passage


@dataclass(frozen=True, slots=True)
class TrainingContext:
    """The passages of a training example's prompt, and its target answer; None keeps the example's own answer."""

    passages: list[Passage]
    answer: str | None = None


class TrainingPassages(Protocol):
    """Chooses the passages for examples of the training split; evaluated examples always show the retrieved ones."""

    def __call__(
        self, example: Example, retrieved: Sequence[Passage], relevant: Sequence[Passage], most: int, absent: str
    ) -> TrainingContext:
        """At most `most` passages, as a deterministic function of the arguments.

        `retrieved` are the passages of the search, the best first; `relevant` those of the example's `relevant`
        documents: the retrieved ones, or else the first of each document. `absent` is the answer that abstains.
        """
