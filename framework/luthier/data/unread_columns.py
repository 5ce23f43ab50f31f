"""Columns that belong to a conversation by their names, and whose texts stand in none of its turns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from luthier.data.formats.conversation import MEDIA, REASONING
from luthier.data.records import Tally

if TYPE_CHECKING:
    from luthier.contracts.examples import Example

TEXTS = (
    *("system", "system_prompt", "system_message", "instruction", "instructions", "prompt", "question", "query"),
    *("input", "context", "history", "documents", "functions", "rationale", *REASONING),
)
"""Names under which data sets hold what a model reads, or the reasoning of its answer."""


def warn_of_unread(example: Example, tally: Tally) -> None:
    """Warn of a column that is named like a part of the conversation and is none; one that a turn repeats is silent."""
    named = [name for name in (*TEXTS, *sorted(MEDIA)) if example.get(name)] if "messages" in example else ()
    if not named:
        return
    parts = ("messages", "chosen", "rejected", "tools", "label")
    said = [text for part in parts for text in _texts(example.get(part))]
    for name in named:
        unread = [text for text in _texts(example[name]) if not any(text in other for other in said)]
        if unread or name in MEDIA:
            tally.warn(
                f"The column {name!r} is no part of the conversation, so the model does not read it", example["where"]
            )


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value, without the blanks around them; blank ones are left out."""
    if isinstance(value, str) and value.strip():
        yield value.strip()
    elif isinstance(value, (list, tuple, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
