"""Readers: a class for each kind of file, which yields its rows with their lines, or the fault of a row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from luthier.data.records import Record


class Reader(Protocol):
    """Reads one kind of file."""

    def files(self, path: Path) -> list[Path]:
        """The files at `path`, in the order of reading; DataError where there is none."""

    def records(self, path: Path, name: str) -> Iterator[Record]:
        """The rows of one file; `name` is its name in the places of rows and faults.

        A row that cannot be read is a Record with a fault; DataError is raised only where the rest cannot be read.
        """
