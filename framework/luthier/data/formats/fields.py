"""Reading of a row's fields, with errors that describe a wrong value."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from luthier.errors import DataError

EXAMPLE_KEYS = ("messages", "text", "chosen", "rejected", "tools", "where")


def kind(value: Any) -> str:
    """A description of a value for error messages: "the number 3", "null", "a list of 2"."""
    if isinstance(value, str):
        return ("blank text" if value else "an empty text") if not value.strip() else "text"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return f"a list of {len(value)}" if isinstance(value, (list, tuple)) else "an object"


def text_field(row: dict[str, Any], key: str, *, blank: bool = False) -> str:
    """The text in a field; DataError if it is missing, not text, or blank and `blank` is false."""
    if key not in row:
        raise DataError(f"The row has no `{key}`.")
    value = row[key]
    if not isinstance(value, str) or not (blank or value.strip()):
        raise DataError(f"`{key}` is {kind(value)}, where text is expected.")
    return value


def number_field(row: dict[str, Any], key: str) -> float:
    """The finite number in a field, which may be written as text; DataError if it is missing or not one."""
    if key not in row:
        raise DataError(f"The row has no `{key}`.")
    value = row[key]
    try:
        if isinstance(value, bool) or value is None:
            raise ValueError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"`{key}` is {kind(value)} ({value!r}), where a number is expected.") from None
    if not math.isfinite(number):
        raise DataError(f"`{key}` is not finite.")
    return number


def is_list_of_turns(value: Any, key: str) -> bool:
    """Whether a value is a non-empty list whose first turn is an object with `key`, or the text of such a list.

    The text of a list is that of a JSON list that breaks off, or what Python's `str` writes: readers read JSON.
    """
    if isinstance(value, str):
        return value.lstrip().startswith("[{") and key in value
    return isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], dict) and key in value[0]


def system_turns(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The system turn of a row with the text `system`; an empty list where it has none."""
    return [{"role": "system", "content": row["system"]}] if row.get("system") else []


def further_fields(row: dict[str, Any], used: Iterable[str], counts: Counter[str]) -> dict[str, Any]:
    """The columns that a format does not use, under their own names.

    A column whose name has another meaning in an Example is left out, and counted as `column_left_out_<name>`.
    """
    further = {key: value for key, value in row.items() if key not in set(used)}
    for key in EXAMPLE_KEYS:
        if key in further:
            further.pop(key)
            counts[f"column_left_out_{key}"] += 1
    return further
