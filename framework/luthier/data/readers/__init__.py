"""How a file becomes rows: a class for each kind of file, each row with its line or the fault that hides it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from luthier.data.records import Record


class Reader(Protocol):
    """Read one kind of file."""

    def files(self, path: Path) -> list[Path]:
        """The files that `path` stands for, in the order of reading; DataError where there is none."""

    def records(self, path: Path, name: str) -> Iterator[Record]:
        """The rows of one file, which faults call `name`.

        A row that cannot be read is a Record with its fault; DataError is raised only where nothing can be read on.
        """
