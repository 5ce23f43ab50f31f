"""Training with the retrieved passages."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.api import Example
from luthier_retrieval.chunking import Passage
from luthier_retrieval.teaching import TrainingContext, TrainingPassages


class RetrievedPassages(TrainingPassages):
    """Show the best retrieved passages, as in evaluation, whether they hold the answer or not."""

    def __call__(
        self, example: Example, retrieved: Sequence[Passage], relevant: Sequence[Passage], most: int, absent: str
    ) -> TrainingContext:
        return TrainingContext(list(retrieved[:most]))
