"""Which training examples are shown with a question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from luthier_prompting.demonstration import Demonstration


class Selection(Protocol):
    """Orders the training examples by how gladly each is shown with a question."""

    fixed: bool
    """Whether the order is the same for every question."""
    best_last: bool
    """Whether the best one is to stand last, next to the question."""

    def learn(self, pool: Sequence[Demonstration]) -> None:
        """See all examples that may be shown, before the first question."""

    def __call__(self, text: str) -> Iterable[int]:
        """The numbers of examples in the pool for a question about `text`, the best one first."""
