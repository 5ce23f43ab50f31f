"""What a row with a topic and lines means: somebody asks for a tanka, and it is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.api import DataError

if TYPE_CHECKING:
    from luthier.api import Example


@dataclass(frozen=True)
class Poem:
    """`topic` and five `lines`; `ask` is what the user says, `{topic}` in it the topic."""

    ask: str = "Write a tanka about {topic}."

    name = "tanka"
    expects = "`topic` and five `lines`"

    def settle(self, rows: Sequence[dict[str, Any]]) -> Poem:
        return self

    def recognises(self, row: dict[str, Any]) -> str:
        return "`lines` holds a poem on a `topic`" if {"topic", "lines"} <= row.keys() else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        if len(row["lines"]) != 5:
            raise DataError(f"A tanka has five lines, and this has {len(row['lines'])}.")
        asked = {"role": "user", "content": self.ask.format(topic=row["topic"])}
        return {"messages": [asked, {"role": "assistant", "content": "\n".join(row["lines"])}], "topic": row["topic"]}
