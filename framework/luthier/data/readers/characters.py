"""Characters that text must not contain: bytes that are not UTF-8, NUL, halves of a surrogate pair."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from luthier.errors import DataError

_SUSPICIOUS = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)")


def not_utf8(error: UnicodeDecodeError, file: str, line: int, offset: int) -> DataError:
    """The fault of a line that is not UTF-8; `offset` is the byte offset of the line in the (unpacked) file."""
    column = len(error.object[: error.start].decode("utf-8")) + 1
    return DataError(
        f"The byte 0x{error.object[error.start]:02X} at byte offset {offset + error.start} is not UTF-8.",
        where=f"{file}:{line}:{column}",
        hint="If the file is from Windows, convert it: iconv -f WINDOWS-1252 -t UTF-8.",
    )


def bad_escape(text: str) -> tuple[int, str] | None:
    r"""The index and name of the first `\u0000` or unpaired `\ud800`…`\udfff` in JSON text, None if there is none."""
    if "\\u" not in text or not _SUSPICIOUS.search(text):
        return None
    high: re.Match[str] | None = None
    for escape in _ESCAPE.finditer(text):
        code = int(escape[1], 16) if escape[1] else -1
        if high is not None:
            if 0xDC00 <= code < 0xE000 and escape.start() == high.end():
                high = None
                continue
            return high.start(), f"{high[0]}, half of a surrogate pair"
        if code == 0:
            return escape.start(), "\\u0000, the NUL character"
        if 0xDC00 <= code < 0xE000:
            return escape.start(), f"{escape[0]}, half of a surrogate pair"
        high = escape if 0xD800 <= code < 0xDC00 else None
    return (high.start(), f"{high[0]}, half of a surrogate pair") if high else None


def bad_character(value: Any) -> str:
    """The first bad character anywhere in a value, as part of a sentence; an empty string if there is none."""
    return next(_bad_characters(value), "")


def _bad_characters(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if "\0" in value:
            yield f"character {value.index(chr(0)) + 1} is NUL"
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            yield f"character {error.start + 1} is half of a surrogate pair (U+{ord(value[error.start]):04X})"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (f"in {key!r}, {bad}" for bad in _bad_characters(inner))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _bad_characters(inner)
