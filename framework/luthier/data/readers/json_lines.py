"""JSON Lines: one object per line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.data.readers.characters import bad_escape
from luthier.data.readers.filled_in import as_given
from luthier.data.readers.lines import Line, lines
from luthier.data.readers.opening import one_file
from luthier.data.records import Record
from luthier.errors import DataError


def strict_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError if it has a key twice, of which Python's decoder would silently use the last."""
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
    return result


def no_constant(word: str) -> Any:
    """ValueError for NaN and Infinity, which Python's decoder accepts."""
    raise ValueError(f"{word} is not a value of JSON")


NAN_HINT = "pandas writes null for what is missing with df.to_json(path, orient='records', lines=True)."
DECODER = json.JSONDecoder(object_pairs_hook=strict_object, parse_constant=no_constant)


@dataclass(frozen=True)
class JsonLines:
    """Read a file of one JSON object per line: UTF-8, with or without a byte order mark, LF or CRLF, also .gz or .zst.

    Blank lines are skipped. Refused, with line and column: an incomplete line, a value that is not an object, a
    duplicate key, NaN, Infinity, NUL, and half of a surrogate pair.
    """

    def files(self, path: Path) -> list[Path]:
        """The file itself, as a list; DataError where there is none."""
        return one_file(path)

    def records(self, path: Path, name: str) -> Iterator[Record]:
        """The rows of one file, which faults call `name`; a row that cannot be read is a Record with its fault."""
        return as_given(self._records(path, name))

    def _records(self, path: Path, name: str) -> Iterator[Record]:
        for line in lines(path, name):
            if not line.text.isspace():
                try:
                    yield Record(name, line.number, _row(line, name), raw=line.text)
                except DataError as fault:
                    yield Record(name, line.number, fault=fault, raw=line.text)


def _row(line: Line, name: str) -> dict[str, Any]:
    if line.fault:
        raise line.fault
    place = f"{name}:{line.number}"
    text = line.text.rstrip()
    try:
        row = DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _malformed(error, line, place) from None
    except RecursionError:
        raise DataError("The line nests objects too deeply to be read.", where=place) from None
    except ValueError as error:
        raise DataError(
            f"The line is not JSON: {error}.", where=place, hint=NAN_HINT if "NaN" in str(error) else ""
        ) from None
    if not isinstance(row, dict):
        raise _no_object(row, place, line.number)
    if (bad := bad_escape(line.text)) is not None:
        at, what = bad
        offset = line.offset + len(line.text[:at].encode("utf-8"))
        raise DataError(f"The text holds {what}, at byte offset {offset}.", where=f"{place}:{at + 1}")
    return row


def _malformed(error: json.JSONDecodeError, line: Line, place: str) -> DataError:
    where, text = f"{place}:{error.pos + 1}", line.text.rstrip()
    start = text.lstrip()
    if line.number == 1 and (start == "{" or start[:1] == "["):
        return DataError(
            "The file is one JSON document, not an object a line.", where=where, hint="Read it with data=json."
        )
    if error.pos >= len(text) or error.msg.startswith("Unterminated string"):
        return DataError(
            "The line breaks off in the middle of a value.",
            where=where,
            hint="Was the file cut short? data.on_bad_row=skip passes over such lines.",
        )
    if error.msg.startswith("Invalid control character"):
        offset = line.offset + len(text[: error.pos].encode("utf-8"))
        return DataError(
            f"The text holds the control character U+{ord(text[error.pos]):04X} at byte offset {offset}.", where=where
        )
    excerpt = text[error.pos : error.pos + 20]
    if start[:1] in "{[":
        return DataError(f"The line is not JSON: {error.msg.lower()}, found {excerpt!r}.", where=where)
    return DataError(
        f"The line is not a JSON object: it starts with {start[:20]!r}.",
        where=where,
        hint="Other kinds of files have readers of their own: data=csv, data=text, data=json.",
    )


def _no_object(row: Any, place: str, number: int) -> DataError:
    kind = {list: "a list", str: "a text", bool: "a truth value", type(None): "null"}.get(type(row), "a number")
    hint = "Read a file that is one list with data=json." if isinstance(row, list) and number == 1 else ""
    return DataError(f"The line is {kind}, not an object with named fields.", where=place, hint=hint)
