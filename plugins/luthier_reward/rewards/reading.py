"""What rewards read: the reference of an example, and what an answer says between its words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from luthier.api import DataError, answer_of

REFERENCES = ("reference_answer", "reference", "solution", "label")
"""Where a reference stands in examples that do not end with an answer, as Bedrock's do."""
_FENCE = re.compile(r"```[ \t]*(\w*)[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL)


def reference(example: Mapping[str, Any], column: str | None = None) -> str:
    """What the answer should have been: a column, the example's own answer, or the first of `REFERENCES` it has.

    DataError where there is none.
    """
    if column is not None:
        found = example.get(column)
    else:
        found = answer_of(dict(example)) or next((example[key] for key in REFERENCES if example.get(key)), None)
    if found is None or found == "":
        place = f"no column {column!r}" if column else "neither an answer nor a column " + ", ".join(REFERENCES)
        raise DataError(
            f"The reward compares answers with a reference, and the example has {place}.",
            where=str(example.get("where", "")),
            hint="Name the column with method.reward.column.",
        )
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def question(prompt: Any) -> str:
    """What was said last by somebody else than the model."""
    said = [str(message.get("content") or "") for message in prompt if message.get("role") != "assistant"]
    return said[-1] if said else ""


def fenced(answer: str, language: str = "") -> str | None:
    """The last block between ``` of that language, or of any; None where there is none."""
    blocks = _FENCE.findall(answer)
    of_language = [text for name, text in blocks if not language or name.lower() in (language, "")]
    return of_language[-1] if of_language else None
