"""The prompt datasets of Bedrock's model evaluation: `prompt`, `referenceResponse`, `category`, `modelResponses`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.api import DataError
from luthier_bedrock.files.conversation import Row, turns_of
from luthier_bedrock.files.row_by_row import RowByRow

KEPT = ("category", "modelResponses")
"""Columns that have the same name on both sides."""


class Evaluation(RowByRow):
    """One question a line; the reference is the answer, and the answers of other models stay in their column."""

    name = "evaluation"
    purpose = "model evaluation"

    def recognises(self, row: Mapping[str, Any]) -> bool:
        return isinstance(row.get("prompt"), str) and bool({"referenceResponse", *KEPT} & row.keys())

    def read(self, row: Mapping[str, Any]) -> Row:
        if not isinstance(row.get("prompt"), str):
            raise DataError("The row has no text in `prompt`.")
        turns = [{"role": "user", "content": row["prompt"]}]
        if isinstance(row.get("referenceResponse"), str):
            turns.append({"role": "assistant", "content": row["referenceResponse"]})
        return {"messages": turns, **{name: row[name] for name in KEPT if name in row}}

    def write(self, row: Mapping[str, Any]) -> Row:
        turns = turns_of(row)
        if [turn.get("role") for turn in turns] not in (["user"], ["user", "assistant"]):
            raise DataError(
                "A row of an evaluation is one question and at most one answer, and this one has other turns.",
                hint="Write the system turn and what came before into the question.",
            )
        if any(not isinstance(turn.get("content"), str) for turn in turns):
            raise DataError("A row of an evaluation is text alone, and this one has other content.")
        texts = dict(zip(("prompt", "referenceResponse"), (turn["content"] for turn in turns), strict=False))
        return {**texts, **{name: row[name] for name in KEPT if name in row}}
