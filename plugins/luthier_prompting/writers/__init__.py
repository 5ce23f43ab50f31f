"""Models that write instructions for a prompt optimisation, one class a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from luthier.api import PromptScorer


class InstructionWriter(Protocol):
    """Generates the replies to an optimiser's requests for instructions."""

    def __call__(
        self, conversation: Sequence[dict[str, Any]], scorer: PromptScorer, *, temperature: float, seed: int
    ) -> str:
        """The reply to a conversation; `scorer` can generate with the model of the run."""
