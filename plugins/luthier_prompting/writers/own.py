"""Instructions written by the model of the run itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from luthier.api import PromptScorer, Sampling
from luthier_prompting.writers import InstructionWriter


class OwnModelWriter(InstructionWriter):
    """Let the model whose prompt is optimised write the instructions, in at most `tokens` tokens each."""

    def __init__(self, *, tokens: int = 256) -> None:
        self.tokens = tokens

    def __call__(
        self, conversation: Sequence[dict[str, Any]], scorer: PromptScorer, *, temperature: float, seed: int
    ) -> str:
        return scorer.generate([conversation], Sampling(self.tokens, temperature=temperature, seed=seed))[0]
