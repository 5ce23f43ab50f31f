"""The lines of a text file with their numbers and byte offsets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from luthier.data.readers.characters import not_utf8
from luthier.data.readers.opening import opened
from luthier.errors import DataError

_ENDED_BY_RETURN = re.compile(rb"[^\r]*\r|[^\r]+\Z")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Line:
    """A line with its line break; where `fault` is set, bytes that are not UTF-8 are lone surrogates in `text`.

    `number` counts from 1; `offset` is the byte offset in the unpacked file.
    """

    number: int
    offset: int
    text: str
    fault: DataError | None = None


def lines(path: Path, name: str) -> Iterator[Line]:
    """The lines of a file, read lazily. A byte order mark is removed, CRLF is not; bad UTF-8 is a fault of its line.

    A file without a line feed, in which a carriage return ends each line, has lines, too; it is held in memory.
    """
    offset = 0
    with opened(path, name) as stream:
        for number, raw in enumerate(_raw_lines(stream), start=1):
            start = offset
            offset += len(raw)
            if number == 1 and raw.startswith(BYTE_ORDER_MARK):
                raw, start = raw[3:], 3
            try:
                yield Line(number, start, raw.decode("utf-8"))
            except UnicodeDecodeError as error:
                text = raw.decode("utf-8", "surrogateescape")
                yield Line(number, start, text, not_utf8(error, name, number, start))


def _raw_lines(stream: IO[bytes]) -> Iterator[bytes]:
    first = next(stream, b"")
    if b"\r" in first.rstrip(b"\r\n") and not first.endswith(b"\n"):
        yield from _ENDED_BY_RETURN.findall(first)
    elif first:
        yield first
    yield from stream
