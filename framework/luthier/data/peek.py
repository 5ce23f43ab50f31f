"""A first look at somebody's data file: how it is read, and which format its rows have."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from luthier.data.formats.detect import LOOK_AT, Detected, detect
from luthier.data.readers.by_ending import ByEnding, reader_for
from luthier.errors import DataError


@dataclass(frozen=True, slots=True)
class Peek:
    """`answer` is the `data` answer that reads the file; `rows` are its first rows that could be read."""

    answer: str
    rows: list[dict[str, Any]]
    detected: Detected


def peek(path: Path) -> Peek:
    """Read the first rows of a file or folder; DataError where it is none of the known kinds, or cannot be read."""
    found = None if path.is_dir() else reader_for(path)
    answer, reader = found or ("folder", ByEnding())
    rows: list[dict[str, Any]] = []
    for file in reader.files(path):
        records = islice(reader.records(file, str(file)), LOOK_AT - len(rows))
        rows += [record.row for record in records if record.row is not None]
        if len(rows) >= LOOK_AT:
            break
    if not rows:
        raise DataError(f"{path} holds no row that can be read.", where=str(path))
    return Peek(answer, rows, detect(rows))
