"""What a file format adds to rows: nulls of unified structs, and NaN for what is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

TURNS = ("messages", "conversations", "chosen", "rejected", "preferred_output", "non_preferred_output")
"""Columns that hold turns, or such turns as JSON text."""
_MAY_BE_NULL = {"default", "const", "example", "examples", "enum"}
"""Keywords of JSON Schema whose values are any JSON."""


def without_filled_in(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of Arrow as it was given to it: without fields of structs that are null, and with null for NaN.

    Arrow gives all structs of a column the same fields, and fills in null for those that a struct lacks. A column
    that is null stays.
    """
    return {key: None if _is_nan(value) else _without(value) for key, value in row.items()}


def as_given(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a JSON or CSV file as it was given to the program that wrote the file.

    Turns that are JSON text (in a CSV file, for instance) are read. Where all turns have the same keys, and those that
    do not apply to a turn are null, or where the schema of a tool has nulls that no schema has, the file was exported
    from Arrow: its nulls are left out, as `without_filled_in` does. Other nulls in JSON, such as that of an argument or
    a default, are data.
    """
    row = {key: _turns_of_text(value) if key in TURNS else value for key, value in row.items()}
    exported = any(map(_is_unified, row.values())) or _is_filled_schema(row.get("tools"), inside=False)
    return without_filled_in(row) if exported else row


def _without(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without(inner) for key, inner in value.items() if inner is not None and not _is_nan(inner)}
    if isinstance(value, (list, tuple)):
        return [_without(inner) for inner in value]
    return value


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _is_unified(value: Any) -> bool:
    """Whether these are turns with the same keys, of which one that is not the assistant's is null."""
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(turn, dict) for turn in value):
        return False
    keys = value[0].keys()
    if not keys & {"role", "from"} or any(turn.keys() != keys for turn in value):
        return False
    others = [turn for turn in value if turn.get("role", turn.get("from")) not in ("assistant", "gpt")]
    return any(inner is None for turn in others for key, inner in turn.items() if key not in ("content", "value"))


def _is_filled_schema(value: Any, *, inside: bool) -> bool:
    """Whether a null stands in the parameters of a tool where JSON Schema allows none."""
    if isinstance(value, dict):
        return any(
            (inside and inner is None and key not in _MAY_BE_NULL)
            or _is_filled_schema(inner, inside=inside or key == "parameters")
            for key, inner in value.items()
            if key not in _MAY_BE_NULL
        )
    return isinstance(value, list) and any(_is_filled_schema(inner, inside=inside) for inner in value)


def _turns_of_text(value: Any) -> Any:
    """The list of turns that a text is the JSON of; the value itself where it is none."""
    if not isinstance(value, str) or value.lstrip()[:1] != "[":
        return value
    try:
        turns = json.loads(value)
    except ValueError:
        return value
    return turns if _are_turns(turns) else value


def _are_turns(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and bool(value)
        and all(isinstance(turn, dict) and turn.keys() & {"role", "from"} for turn in value)
    )
