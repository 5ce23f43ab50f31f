"""The selection of in-context examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from luthier_prompting.demonstration import Demonstration


class Selection(Protocol):
    """Ranks the training examples as in-context examples for a question."""

    fixed: bool
    """Whether the ranking is the same for every question."""
    best_last: bool
    """Whether the best example is to stand last, next to the question."""

    def learn(self, pool: Sequence[Demonstration]) -> None:
        """Index the examples that can be shown, before the first question."""

    def __call__(self, text: str) -> Iterable[int]:
        """The numbers of examples in the pool for a question about `text`, the best first."""
