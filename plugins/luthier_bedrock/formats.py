"""Formats of rows that jobs of Amazon Bedrock read, for `data/format`: they are detected."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.api import DataError, Format, PromptCompletion, text_field

if TYPE_CHECKING:
    from luthier.api import Example


@dataclass(frozen=True)
class BedrockEvaluation(Format):
    """Rows of a model evaluation: `prompt`, `referenceResponse` as the answer, and `category`."""

    name = "bedrock_evaluation"
    expects = "`prompt` and `referenceResponse`, both texts"
    keys = (("prompt", "referenceResponse"),)

    def recognises(self, row: dict[str, Any]) -> str:
        fits = all(isinstance(row.get(key), str) for key in self.keys[0])
        return "it has `prompt` and `referenceResponse`" if fits else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        text_field(row, "referenceResponse")
        rest = {name: value for name, value in row.items() if name != "referenceResponse"}
        return PromptCompletion()({**rest, "completion": row["referenceResponse"]}, counts)


@dataclass(frozen=True)
class BedrockInput(Format):
    """Plain text in `input` alone, for continued pre-training of Titan."""

    name = "bedrock_input"
    expects = "`input`, a text, and nothing else"
    keys = (("input",),)

    def recognises(self, row: dict[str, Any]) -> str:
        return "`input` alone holds text" if list(row) == ["input"] and isinstance(row["input"], str) else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        if other := [key for key in row if key != "input"]:
            raise DataError(f"The row has the field {other[0]!r}, which a job does not take.")
        return {"text": text_field(row, "input")}
