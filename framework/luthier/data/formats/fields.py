"""Take what a format needs out of a row, or say what stands there instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from luthier.errors import DataError

OURS = ("messages", "text", "chosen", "rejected", "tools", "where")


def kind(value: Any) -> str:
    """A value in words, for messages: "the number 3", "null", "a list of 2"."""
    if isinstance(value, str):
        return ("blank text" if value else "an empty text") if not value.strip() else "text"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return f"a list of {len(value)}" if isinstance(value, (list, tuple)) else "an object"


def text_field(row: dict[str, Any], key: str, *, blank: bool = False) -> str:
    """The text in a field; DataError if it is missing, no text, or blank where that is not allowed."""
    if key not in row:
        raise DataError(f"The row has no `{key}`.")
    value = row[key]
    if not isinstance(value, str) or not (blank or value.strip()):
        raise DataError(f"`{key}` is {kind(value)}, where text is expected.")
    return value


def number_field(row: dict[str, Any], key: str) -> float:
    """The finite number in a field, also written as text; DataError if it is none."""
    value = row.get(key)
    try:
        if isinstance(value, bool) or value is None:
            raise ValueError
        found = float(value)
    except (TypeError, ValueError):
        raise DataError(f"`{key}` is {kind(value)} ({value!r}), where a number is expected.") from None
    if found != found or abs(found) == float("inf"):
        raise DataError(f"`{key}` is not finite.")
    return found


def system_turns(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The system turn of a row with the text `system`; an empty list where it has none."""
    return [{"role": "system", "content": row["system"]}] if row.get("system") else []


def further_fields(row: dict[str, Any], used: Iterable[str], counts: Counter[str]) -> dict[str, Any]:
    """The columns that a format does not use, to be kept under their own names.

    A column whose name means something else in an Example is left out, and counted as `column_left_out_<name>`.
    """
    kept = {key: value for key, value in row.items() if key not in set(used)}
    for key in OURS:
        if key in kept:
            del kept[key]
            counts[f"column_left_out_{key}"] += 1
    return kept
