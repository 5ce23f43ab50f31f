"""Plain text from the turns of a chat record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.api import DataError, Format, further_fields, text_field

if TYPE_CHECKING:
    from luthier.api import Example


@dataclass(frozen=True)
class Turns(Format):
    """Join the contents of the turns of `role` in the list `column` to `text`, with blank lines between them.

    For data sets whose documents are stored as the questions of a chat. Turns of other roles are dropped; further
    fields of the row are kept.
    """

    column: str = "messages"
    role: str = "user"

    name = "turns"
    columns = ("column",)
    expects = "a list of turns with `role` and `content`"

    def recognises(self, row: dict[str, Any]) -> str:
        return f"`{self.column}` holds turns" if isinstance(row.get(self.column), list) else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        turns = row.get(self.column)
        if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
            raise DataError(f"`{self.column}` is no list of turns.")
        contents = [text_field(turn, "content") for turn in turns if turn.get("role") == self.role]
        if not contents:
            raise DataError(f"No turn in `{self.column}` has the role {self.role!r}.")
        return {**further_fields(row, (self.column,), counts), "text": "\n\n".join(contents)}
