"""Who writes instructions for a search. One way a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from luthier.api import PromptScorer


class Writer(Protocol):
    """A model that can be asked for words about words."""

    def __call__(
        self, conversation: Sequence[dict[str, Any]], judge: PromptScorer, *, temperature: float, seed: int
    ) -> str:
        """What it says next; `judge` asks the model of the run."""
