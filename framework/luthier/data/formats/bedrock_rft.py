"""The rows of Amazon Bedrock's reinforcement fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from luthier.data.formats.messages import Messages


@dataclass(frozen=True)
class BedrockRft(Messages):
    """Prompts in OpenAI's form with `reference_answer`, which a reward compares answers with.

    The reference and the further columns, which a grader reads, stay under their own names; an assistant turn is not
    needed. Messages are read as by `data/format=messages`.
    """

    answered: bool = False

    name = "bedrock_rft"
    expects = "`messages` and `reference_answer`"
    keys = (("messages", "reference_answer"),)  # type: ignore[assignment]

    def recognises(self, row: dict[str, Any]) -> str:
        fits = "reference_answer" in row and super().recognises(row)
        return "it has `messages` and a `reference_answer`" if fits else ""
