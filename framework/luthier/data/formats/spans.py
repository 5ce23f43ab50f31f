"""A text and the spans of its entities."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.classification import classification_question
from luthier.data.formats.fields import further_fields, kind, text_field
from luthier.data.formats.format import Format
from luthier.data.tagging.entities import EntitySpan, checked_entities
from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example

COLUMNS = ("entities", "spans", "ents", "labels", "label")
"""Where JSON spans, Prodigy, spaCy and Doccano have them."""
_STARTS, _ENDS = ("start", "start_offset", "begin", "start_char"), ("end", "end_offset", "stop", "end_char")
_LABELS = ("label", "entity", "type", "tag", "entity_group")
INSTRUCTION = 'Name the entities of the text as a JSON list of {"type": …, "text": …}.'


@dataclass(frozen=True)
class Spans(Format):
    """A text and a list of spans, each an object with `start`, `end` and `label`, or a list of the three.

    `start` and `end` count characters, the end is exclusive. `spans` is the name of the column; null takes the first of
    `entities`, `spans`, `ents`, `labels` and `label`, where JSON spans, Prodigy, spaCy and Doccano have them. The
    assistant turn is what a language model answers to `instruction`.
    """

    text: str = "text"
    spans: str | None = None
    instruction: str = INSTRUCTION

    name = "spans"
    columns = ("text", "spans")
    expects = "a column of texts and a column of lists of spans (`text` and `entities`, unless the format names others)"

    def recognises(self, row: dict[str, Any]) -> str:
        column = self._column(row)
        if not isinstance(row.get(self.text), str) or "messages" in row or not isinstance(row.get(column), list):
            return ""
        fits = column in ("entities", "spans", "ents", self.spans) or (
            row[column] and _span(row[column][0]) is not None
        )
        return f"`{self.text}` holds text and `{column}` spans of it" if fits else ""

    def _column(self, row: dict[str, Any]) -> str:
        if self.spans is not None:
            return self.spans
        return next((name for name in COLUMNS if name in row), COLUMNS[0])

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        column, text = self._column(row), text_field(row, self.text)
        given = row.get(column)
        if given is None and column in row:
            given = []
        if not isinstance(given, list):
            found = f"{kind(given)}, where a list of spans is expected" if column in row else "missing"
            raise DataError(f"`{column}` is {found}.")
        entities = checked_entities(text, [_read(one, column) for one in given], counts)
        return with_entities(further_fields(row, (self.text, column), counts), self.instruction, text, entities)


def with_entities(example: Example, instruction: str, text: str, entities: list[EntitySpan]) -> Example:
    """The example with `text`, `entities` and `messages`, in which the assistant turn names the entities."""
    named = [{"type": one["label"], "text": text[one["start"] : one["end"]]} for one in entities]
    messages = [
        {"role": "user", "content": classification_question(instruction, text)},
        {"role": "assistant", "content": json.dumps(named, ensure_ascii=False)},
    ]
    return {**example, "messages": messages, "text": text, "entities": entities}


def _read(given: Any, column: str) -> EntitySpan:
    span = _span(given)
    if span is None:
        raise DataError(
            f"A span of `{column}` is {json.dumps(given, ensure_ascii=False, default=str)[:80]}.",
            hint='Write it as {"start": 0, "end": 5, "label": "ORG"} or [0, 5, "ORG"].',
        )
    return span


def _span(given: Any) -> EntitySpan | None:
    """A span as any of these tools writes it; None where it is none."""
    if isinstance(given, dict):
        start, end, label = (_first(given, names) for names in (_STARTS, _ENDS, _LABELS))
    elif isinstance(given, list) and len(given) == 3:
        start, end, label = given
    else:
        return None
    if any(isinstance(place, bool) or not isinstance(place, int) for place in (start, end)):
        return None
    if not isinstance(label, str) or not label.strip():
        return None
    return {"start": start, "end": end, "label": label.strip()}


def _first(given: dict[str, Any], names: Iterable[str]) -> Any:
    return next((given[name] for name in names if name in given), None)
