"""What a file format adds to rows: nulls of unified structs, NaN for what is missing, and turns as JSON text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from luthier.data.records import Record
from luthier.errors import DataError

TURNS = ("messages", "conversations", "chosen", "rejected", "preferred_output", "non_preferred_output")
"""Columns that hold turns, or such turns as JSON text."""
NOTE = "Nulls of arguments are left out, as all turns have the same keys: Arrow's exports fill them in"
LOOK_AT = 64
_MAY_BE_NULL = {"default", "const", "example", "examples", "enum"}
"""Keywords of JSON Schema whose values are any JSON."""

Keys = frozenset[str]


def without_filled_in(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of Arrow as it was given to it: without fields of structs that are null, and with null for NaN.

    Arrow gives all structs of a column the same fields, and fills in null for those that a struct lacks. A column
    that is null stays.
    """
    return {key: None if _is_nan(value) else _without(value) for key, value in row.items()}


def with_turns(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row, with the turns that are JSON text, as in a CSV file, as lists."""
    return {key: _turns_of_text(value) if key in TURNS else value for key, value in row.items()}


def as_given(records: Iterator[Record]) -> Iterator[Record]:
    """The records of a JSON file, with the rows as they were given to the program that wrote it.

    A file is an export from Arrow if in its first rows all turns have the same keys, so have all arguments of calls and
    all schemas of tools, and nulls stand where a key does not apply. Its nulls are then left out as by
    `without_filled_in`, with a note where that changes arguments. Other nulls in JSON, such as that of an argument or
    of a default, are data.
    """
    first: list[Record] = []
    fault: DataError | None = None
    try:
        for record in islice(records, LOOK_AT):
            first.append(_read(record))
    except DataError as error:  # after the rows before it
        fault = error
    keys = _keys_of_export([record.row for record in first if record.row is not None])
    yield from (_without_export(record, keys) for record in first)
    if fault:
        raise fault
    yield from (_without_export(_read(record), keys) for record in records)


def _read(record: Record) -> Record:
    if record.row is not None:
        record.row = with_turns(record.row)
    return record


def _without_export(record: Record, keys: Keys | None) -> Record:
    """The record without filled-in nulls where its turns have the keys of an export."""
    row = record.row
    if row is not None and keys is not None and all(turn.keys() == keys for turn in _turns(row)):
        record.row = without_filled_in(row)
        if any(None in arguments.values() for arguments in _found(row, "arguments")):
            record.note = NOTE
    return record


def _keys_of_export(rows: list[dict[str, Any]]) -> Keys | None:
    """The keys that all turns of an export from Arrow have; None where the rows are no such export."""
    turns = [turn for row in rows for turn in _turns(row)]
    schemas = [schema for row in rows for schema in _found(row.get("tools"), "parameters")]
    kinds = [
        {frozenset(turn) for turn in turns},
        {frozenset(arguments) for row in rows for arguments in _found(row, "arguments")},
        {frozenset(schema["properties"]) for schema in schemas if isinstance(schema.get("properties"), dict)},
    ]
    if not turns or any(len(kind) > 1 for kind in kinds):
        return None
    nulls = any(inner is None for turn in turns for key, inner in turn.items() if key not in ("content", "value"))
    return next(iter(kinds[0])) if nulls or any(map(_has_null, schemas)) else None


def _turns(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for value in row.values():
        if _are_turns(value):
            yield from value


def _found(value: Any, name: str) -> Iterator[dict[str, Any]]:
    """The mappings below a key of this name, at any depth."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == name and isinstance(inner, dict):
                yield inner
            yield from _found(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _found(inner, name)


def _has_null(schema: Any) -> bool:
    """Whether a null stands where JSON Schema allows none."""
    if isinstance(schema, dict):
        return any(inner is None or _has_null(inner) for key, inner in schema.items() if key not in _MAY_BE_NULL)
    return isinstance(schema, list) and any(map(_has_null, schema))


def _without(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without(inner) for key, inner in value.items() if inner is not None and not _is_nan(inner)}
    if isinstance(value, (list, tuple)):
        return [_without(inner) for inner in value]
    return value


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _turns_of_text(value: Any) -> Any:
    """The list of turns that a text is the JSON of; the value itself where it is none."""
    if not isinstance(value, str) or value.lstrip()[:1] != "[":
        return value
    try:
        turns = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return turns if _are_turns(turns) else value


def _are_turns(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, dict) and turn.keys() & {"role", "from"} for turn in value)
    )
