"""Plain text for continued pre-training: `text` as Nova's recipes read it, `input` as Titan's jobs do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.api import DataError
from luthier_bedrock.files.conversation import Row
from luthier_bedrock.files.row_by_row import RowByRow


class Text(RowByRow):
    """`text` in each line, for continued pre-training of Nova; further columns stay."""

    name = "text"
    purpose = "continued pre-training of Nova"
    key = "text"

    def recognises(self, row: Mapping[str, Any]) -> bool:
        return isinstance(row.get(self.key), str)

    def read(self, row: Mapping[str, Any]) -> Row:
        return {**{name: value for name, value in row.items() if name != self.key}, "text": _text(row, self.key)}

    def write(self, row: Mapping[str, Any]) -> Row:
        return {"text": _text(row, "text"), **{name: value for name, value in row.items() if name != "text"}}


class Input(Text):
    """`input` alone in each line, for continued pre-training of Titan."""

    name = "input"
    purpose = "continued pre-training of Titan"
    key = "input"

    def recognises(self, row: Mapping[str, Any]) -> bool:
        return list(row) == ["input"] and isinstance(row["input"], str)

    def write(self, row: Mapping[str, Any]) -> Row:
        return {"input": _text(row, "text")}


def _text(row: Mapping[str, Any], key: str) -> str:
    if not isinstance(row.get(key), str):
        raise DataError(f"The row has no text in `{key}`.")
    return str(row[key])
