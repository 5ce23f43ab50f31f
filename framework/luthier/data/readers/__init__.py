"""Readers: a class for each kind of file, which yields its rows with their lines, or the fault of a row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from luthier.data.records import Record


class Reader(Protocol):
    """Reads one kind of file.

    - *Given*: the path of the setting `data.file`, and for `records` one file and its name for messages.
    - *Returns*: `files` a list of paths; `records` a stream of `Record`: the row as a dictionary, or a fault, and
      its place.
    - *Called*: once for each reading of a source that asks the question `data/reader`, one row at a time: nothing
      else of the file need be in memory.
    - *Ranks*: on every rank, unless the reading is cached.
    - *Raises*: DataError where there is no file, or the rest of it cannot be read. A row that cannot be read is a
      `Record` with a fault, which the source treats as `on_bad_row` says.
    - *Resume*: it is read again from the beginning, with the same rows.
    - *Nested*: a keyword-only parameter filled by an answer of `data/reader/NAME/`.
    """

    def files(self, path: Path) -> list[Path]:
        """The files at `path`, in the order of reading; DataError where there is none."""

    def records(self, path: Path, name: str) -> Iterator[Record]:
        """The rows of one file; `name` is its name in the places of rows and faults.

        A row that cannot be read is a Record with a fault; DataError is raised only where the rest cannot be read.
        """
