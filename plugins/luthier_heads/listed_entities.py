"""A text and its entities as an answer lists them, in the order of the text and without their places."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from luthier.api import DataError, Example, Format, text_field, with_entities

ELSEWHERE = "entity_not_in_the_text_so_row_left_out"
INSTRUCTION = 'Name the entities of the text as a JSON list of {"type": …, "text": …}.'


@dataclass(frozen=True)
class ListedEntities(Format):
    """Rows of OpenAI's evals whose `ideal` lists the entities of the last message of `input`: `[Acme - ORGANIZATION]`.

    Each entity is looked for behind the one before it, letter case included, as a whole word. A row with one that is
    not there is left out, which is counted. An answer without brackets has no entities.
    """

    instruction: str = INSTRUCTION

    name = "listed_entities"
    expects = "`input`, a list of messages, and `ideal`, a list of entities such as [Acme - ORGANIZATION]"

    def recognises(self, row: dict[str, Any]) -> str:
        del row
        return ""  # such answers are too much like others: it is chosen by name

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example | None:
        turns = row.get("input")
        if not isinstance(turns, list) or not turns or not isinstance(turns[-1], dict):
            raise DataError(f"`input` is no list of messages; {self.expects} are expected.")
        text, answer = text_field(turns[-1], "content"), text_field(row, "ideal")
        entities: list[dict[str, Any]] = []
        at = 0
        for name, kind in _listed(answer):
            found = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)").search(text, at)
            if found is None:
                counts[ELSEWHERE] += 1
                return None
            at = found.end()
            entities.append({"start": found.start(), "end": at, "label": kind})
        return with_entities({}, self.instruction, text, entities)


def _listed(answer: str) -> list[tuple[str, str]]:
    inner = answer.strip()
    if not (inner.startswith("[") and inner.endswith("]")):
        return []
    return [(name.strip(), kind) for name, kind in re.findall(r"(.+?) - ([A-Z_]+)(?:, |$)", inner[1:-1])]
