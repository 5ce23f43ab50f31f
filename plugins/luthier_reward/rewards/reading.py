"""What rewards read: the reference of an example, its question, and fenced blocks of an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from luthier.api import DataError, answer_of, column_of

REFERENCES = ("reference_answer", "reference", "solution", "label")
"""Columns with the reference of an example that does not end with an answer, the first one being Bedrock's."""
COLUMN = "method.reward.column"
"""The setting that names the column of a reward."""
_FENCE = re.compile(r"```[ \t]*(\w*)[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL)


class ColumnReward:
    """A reward that reads the column of an example that its setting `column` names."""

    column: str | None

    @property
    def columns(self) -> list[str]:
        return [self.column] if self.column else []


def reference(example: Mapping[str, Any], column: str | None = None) -> str:
    """The reference answer: `column` where it is given, else the example's own answer, or the first of `REFERENCES`.

    DataError where there is none.
    """
    value = known_reference(example) if column is None else column_of(example, column, setting=COLUMN)
    if value is None or value == "":
        place = f"nothing in {column!r}" if column else "neither an answer nor a column " + ", ".join(REFERENCES)
        raise DataError(
            f"The reward compares answers with a reference, and the example has {place}.",
            where=str(example.get("where", "")),
            hint="Name the column with method.reward.column.",
        )
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def known_reference(example: Mapping[str, Any]) -> Any:
    """The example's own answer, or the value of the first of `REFERENCES` that it has; None without one."""
    return answer_of(dict(example)) or next((example[key] for key in REFERENCES if example.get(key)), None)


def question(prompt: Any) -> str:
    """The text of the last message that is not the assistant's; empty without one."""
    texts = [str(message.get("content") or "") for message in prompt if message.get("role") != "assistant"]
    return texts[-1] if texts else ""


def parsed_json(answer: str) -> Any:
    """The JSON of the last ```json block, or of the whole answer; ValueError or RecursionError where there is none."""
    return json.loads(fenced(answer, "json") or answer)


def is_json(answer: str) -> bool:
    """Whether `parsed_json` finds JSON."""
    try:
        parsed_json(answer)
    except (ValueError, RecursionError):
        return False
    return True


def fenced(answer: str, language: str = "") -> str | None:
    """The last ``` block of the language (empty: of any), or without a language; None where there is none."""
    blocks = _FENCE.findall(answer)
    of_language = [text for name, text in blocks if not language or name.lower() in (language, "")]
    return of_language[-1] if of_language else None
