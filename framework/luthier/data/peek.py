"""Detection of the reader and the format of a data file from its first rows."""

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
    """`answer` is the option of `data` that reads the file; `rows` are its first readable rows."""

    answer: str
    rows: list[dict[str, Any]]
    detected: Detected


def peek(path: Path) -> Peek:
    """Read the first rows of a file or folder; DataError where it is of no known kind, or has no readable row."""
    by_name = None if path.is_dir() else reader_for(path)
    answer, reader = by_name or ("folder", ByEnding())
    rows: list[dict[str, Any]] = []
    for file in reader.files(path):
        records = islice(reader.records(file, str(file)), LOOK_AT - len(rows))
        rows += [record.row for record in records if record.row is not None]
        if len(rows) >= LOOK_AT:
            break
    if not rows:
        raise DataError(f"{path} holds no row that can be read.", where=str(path))
    return Peek(answer, rows, detect(rows))
