"""Instructions by the model that they are for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from luthier.api import PromptScorer, Sampling
from luthier_prompting.writers import Writer


class Own(Writer):
    """Let the model of the run write them, in at most `tokens` tokens each."""

    def __init__(self, *, tokens: int = 256) -> None:
        self.tokens = tokens

    def __call__(
        self, conversation: Sequence[dict[str, Any]], judge: PromptScorer, *, temperature: float, seed: int
    ) -> str:
        return judge.generate([conversation], Sampling(self.tokens, temperature=temperature, seed=seed))[0]
