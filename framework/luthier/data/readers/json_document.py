"""JSON documents: a list of objects, or an object with such a list in one of its fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.data.readers.characters import bad_escape
from luthier.data.readers.filled_in import as_given
from luthier.data.readers.json_lines import DECODER, NAN_HINT
from luthier.data.readers.lines import lines
from luthier.data.readers.opening import one_file
from luthier.data.records import Record
from luthier.errors import DataError

_SPACE = re.compile(r"\s*")


@dataclass(frozen=True)
class JsonDocument:
    """Read a file that is one JSON list of objects, or one object with such a list, such as `{"data": […]}`.

    The whole text is held in memory: prefer JSON Lines for large data sets. The line of a row is that on which it
    starts. Reading ends at a syntax error, whatever `on_bad_row` is.
    """

    def files(self, path: Path) -> list[Path]:
        return one_file(path)

    def records(self, path: Path, name: str) -> Iterator[Record]:
        return as_given(self._records(path, name))

    def _records(self, path: Path, name: str) -> Iterator[Record]:
        text = _text(path, name)
        place, line, counted = _first_row(text, name), 1, 0
        while text[place : place + 1] != "]":
            line, counted = line + text.count("\n", counted, place), place
            try:
                row, end = DECODER.raw_decode(text, place)
            except json.JSONDecodeError as error:
                raise _malformed(error, name) from None
            except (ValueError, RecursionError) as error:
                hint = NAN_HINT if "NaN" in str(error) else ""
                raise DataError(f"The document is not JSON: {error}.", where=f"{name}:{line}", hint=hint) from None
            yield _record(row, text[place:end], name, line)
            place = _after(text, end, name)


def _text(path: Path, name: str) -> str:
    pieces = []
    for line in lines(path, name):
        if line.fault:
            raise line.fault
        pieces.append(line.text)
    text = "".join(pieces)
    if not text.strip():
        raise DataError(f"{name} is blank.", where=name)
    return text


def _first_row(text: str, name: str) -> int:
    """The index of the first row: after the bracket of the document, or of the only non-empty list in its fields."""
    start = _skip(text, 0)
    if text[start] == "[":
        return _skip(text, start + 1)
    if text[start] != "{":
        raise DataError(f"{name} is not JSON: it starts with {text[start : start + 20]!r}.", where=f"{name}:1")
    try:
        fields = list(_fields(text, start))
    except json.JSONDecodeError as error:
        raise _malformed(error, name) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"The document is not JSON: {error}.", where=f"{name}:1") from None
    places = [place for place, value in fields if isinstance(value, list) and value]
    if len(places) != 1:
        by_column = fields and all(isinstance(value, (list, dict)) and not _has_rows(value) for _, value in fields)
        raise DataError(
            f"{name} is one JSON object with {len(places) or 'no'} lists in it, where one list of rows is expected.",
            where=f"{name}:1",
            hint="It holds columns: write rows, as df.to_json(path, orient='records') does."
            if by_column
            else "Write each list of rows to a file of its own."
            if places
            else "Read a file of one object a line with data=jsonl.",
        )
    return _skip(text, places[0] + 1)


def _has_rows(value: list[Any] | dict[str, Any]) -> bool:
    return isinstance(value, list) and isinstance(value[0] if value else None, dict)


def _fields(text: str, start: int) -> Iterator[tuple[int, object]]:
    """The index and value of each field of the document's outermost object."""
    place = _skip(text, start + 1)
    while text[place : place + 1] != "}":
        _, place = DECODER.raw_decode(text, place)
        place = _skip(text, place)
        if text[place : place + 1] != ":":
            raise json.JSONDecodeError("Expecting ':'", text, place)
        begin = _skip(text, place + 1)
        value, place = DECODER.raw_decode(text, begin)
        yield begin, value
        place = _skip(text, place)
        if text[place : place + 1] == ",":
            place = _skip(text, place + 1)
        elif text[place : place + 1] != "}":
            raise json.JSONDecodeError("Expecting ',' or '}'", text, place)
    if text[place + 1 :].strip():
        raise json.JSONDecodeError("Expecting ',' after the first object", text, _skip(text, place + 1))


def _after(text: str, end: int, name: str) -> int:
    end = _skip(text, end)
    if text[end : end + 1] == ",":
        following = _skip(text, end + 1)
        if text[following : following + 1] == "]":
            raise _malformed(json.JSONDecodeError("Expecting value after the comma", text, following), name)
        return following
    if text[end : end + 1] == "]":
        return end
    raise _malformed(json.JSONDecodeError("Expecting ',' or ']'", text, end), name)


def _skip(text: str, place: int) -> int:
    space = _SPACE.match(text, place)
    return space.end() if space else place


def _malformed(error: json.JSONDecodeError, name: str) -> DataError:
    where = f"{name}:{error.lineno}:{error.colno}"
    if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string"):
        return DataError("The document breaks off here.", where=where, hint="Was the file cut short?")
    if error.doc[error.pos] == "{" and error.msg.startswith("Expecting ','"):
        return DataError(
            "One object follows another without a comma.", where=where, hint="Read one object a line with data=jsonl."
        )
    return DataError(f"The document is not JSON: {error.msg}.", where=where)


def _record(row: object, raw: str, name: str, line: int) -> Record:
    if not isinstance(row, dict):
        fault = DataError("The list has something else than objects with named fields.", where=f"{name}:{line}")
        return Record(name, line, fault=fault, raw=raw)
    if (bad := bad_escape(raw)) is not None:
        fault = DataError(f"The text holds {bad[1]}.", where=f"{name}:{line + raw.count(chr(10), 0, bad[0])}")
        return Record(name, line, fault=fault, raw=raw)
    return Record(name, line, row, raw=raw)
