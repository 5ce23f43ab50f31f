"""Examples in luthier's own form."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.conversation import KEY_DROPPED, conversation
from luthier.data.formats.fields import further_fields, text_field
from luthier.data.formats.format import Format
from luthier.data.formats.tools import with_tools
from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example

OWN = ("messages", "chosen", "rejected", "text", "label", "tools")


@dataclass(frozen=True)
class Canonical(Format):
    """Rows with the keys of an example: any of `messages`, `chosen` and `rejected`, `text`, `label`, `tools`.

    One row can thus be used by several methods. `chosen` and `rejected` replace the last answer of `messages`.
    """

    name = "canonical"
    expects = "one of `messages` and `text`, and perhaps `chosen` and `rejected`, `label`, `tools`"
    keys = (("messages",), ("text",))

    def recognises(self, row: dict[str, Any]) -> str:
        return "the row has both `messages` and `text`" if {"messages", "text", "chosen"} <= row.keys() else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        if not row.keys() & {"messages", "text"}:
            raise DataError(f"The row has the keys {', '.join(row)}, where {self.expects} are expected.")
        example = further_fields(row, OWN, counts)
        for key in ("messages", "chosen", "rejected"):
            if key in row:
                example[key] = conversation(row[key], own := Counter[str](), at=key)
                counts.update({name: own[name] for name in own if key == "messages" or name.startswith(KEY_DROPPED)})
        if ("chosen" in row) != ("rejected" in row):
            raise DataError("The row has only one of `chosen` and `rejected`.")
        example.update({key: text_field(row, key) for key in ("text", "label") if key in row})
        return with_tools(example, row)
