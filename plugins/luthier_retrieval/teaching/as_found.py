"""Training sees what answering sees."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.api import Example
from luthier_retrieval.chunking import Passage
from luthier_retrieval.teaching import Lesson, Teaching


class AsFound(Teaching):
    """Show the best passages, whether they hold the answer or not."""

    def __call__(
        self, example: Example, found: Sequence[Passage], right: Sequence[Passage], shown: int, absent: str
    ) -> Lesson:
        return Lesson(list(found[:shown]))
