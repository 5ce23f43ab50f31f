"""Plain text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.fields import further_fields, text_field
from luthier.data.formats.format import Format

if TYPE_CHECKING:
    from luthier.contracts.examples import Example

CLASSES = {"label", "labels", "category", "class", "intent", "sentiment", "entities", "spans", "ents"}


@dataclass(frozen=True)
class Text(Format):
    """Plain text in the column `text`, for continued pre-training; further columns are kept under their own names.

    Rows that also have a column of classes or entities are not detected as plain text: choose the format by name.
    """

    name = "text"
    expects = "`text`"
    keys = (("text",),)
    synonyms = {"text": ("content", "body", "document", "passage", "article", "sentence")}  # noqa: RUF012

    def recognises(self, row: dict[str, Any]) -> str:
        return "`text` holds text" if isinstance(row.get("text"), str) and not row.keys() & CLASSES else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        return {**further_fields(row, ("text",), counts), "text": text_field(row, "text")}
