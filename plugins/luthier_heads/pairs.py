"""The texts of an example that belong together: a query with a document, and perhaps documents that do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luthier.api import DataError, Example, answer_of, last_question, message_text


@dataclass(frozen=True, slots=True)
class TextPair:
    """A query and a document; `negatives` are documents that do not fit it."""

    query: str
    document: str
    negatives: tuple[str, ...] = ()


def pair_of(example: Example) -> TextPair:
    """The pair of an example: its `query`, `document` and `negatives`, else its question and its answer.

    Of a preference pair the chosen answer is the document and the rejected one a negative. DataError where it has
    neither.
    """
    where = str(example.get("where", ""))
    if "query" in example or "document" in example:
        query, document = example.get("query"), example.get("document")
        if isinstance(query, str) and isinstance(document, str):
            return TextPair(query, document, negatives_of(example))
    question = last_question(example) if example.get("messages") else None
    if question is not None:
        query = message_text(example["messages"][question])
        if "chosen" in example and "rejected" in example:
            return TextPair(query, _last(example["chosen"]), (_last(example["rejected"]),))
        if answer := answer_of(example):
            return TextPair(query, answer, negatives_of(example))
    raise DataError(
        "The example holds no pair: neither `query` and `document`, nor a question with its answer.",
        where=where,
        hint="Name its columns: data/format=pairs data.format.query=… data.format.document=…",
    )


def negatives_of(example: Mapping[str, Any]) -> tuple[str, ...]:
    """The column `negatives`, a text or a list of texts; none where there is no such column."""
    given = example.get("negatives") or ()
    found = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list | tuple) else (given,)
    if not all(isinstance(one, str) for one in found):
        raise DataError(
            f"`negatives` is {given!r}, where a text or a list of texts is expected.",
            where=str(example.get("where", "")),
        )
    return found


def score_of(example: Example) -> float:
    """The column `score`, from -1 to 1; DataError where it is none."""
    score = example.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not -1 <= score <= 1:
        raise DataError(
            f"The column `score` is {'missing' if score is None else repr(score)}, where a number from -1 to 1 is "
            "expected.",
            where=str(example.get("where", "")),
            hint="Name and scale it: data/format=graded_pairs data.format.score=… data.format.highest=5",
        )
    return float(score)


def _last(turns: list[dict[str, Any]]) -> str:
    return message_text(turns[-1])
