"""Data files on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.data.readers import Reader
from luthier.data.readers.by_ending import ByEnding
from luthier.data.records import Record
from luthier.data.sources.records_source import RecordsSource
from luthier.data.splits import HELD_OUT_FIRST, NAMES
from luthier.fetch.packages import sha256_of_file


@dataclass(kw_only=True)
class Files(RecordsSource):
    """Examples from a file, or from a folder where the reader reads folders.

    Of several files, one whose name or folder starts with train, validation (valid, val, dev, eval) or test gives its
    rows that split, if another file has another; held-out files are read first, so that what stands in both is taken
    out of training. `shuffle` is a seed: `limit` then takes random examples instead of the first.
    """

    file: str
    reader: Reader = field(default_factory=ByEnding)

    def files(self) -> list[tuple[Path, str | None]]:
        """The files in the order of reading, each with the split that its name says."""
        folder = Path(self.file).expanduser()
        found = [(file, split_of_path(file, folder)) for file in self.reader.files(folder)]
        if len({split for _, split in found}) < 2:
            return [(file, None) for file, _ in found]
        return sorted(found, key=lambda pair: HELD_OUT_FIRST.index(pair[1]))

    def records(self) -> Iterator[Record]:
        for path, split in self.files():
            for record in self.reader.records(path, str(path)):
                record.split = split
                yield record

    def files_now(self) -> Any:
        return [[str(path.absolute()), split, *file_state(path)] for path, split in self.files()]

    def origin(self) -> dict[str, Any]:
        return {
            "files": [
                {"name": str(path), "sha256": sha256_of_file(path), "bytes": path.stat().st_size}
                for path, _ in self.files()
            ]
        }


def file_state(path: Path) -> tuple[int, int]:
    """The size of a file and the time of its last change, in nanoseconds."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def split_of_path(file: Path, folder: Path) -> str | None:
    """The split that the first word of a file's name, or else of a folder it is in, says; None if neither does."""
    inside = file.relative_to(folder) if folder in file.parents else Path(file.name)
    words = [re.split(r"[^a-z]+", part.lower())[0] for part in reversed(inside.parts)]
    return next((NAMES[word] for word in words if word in NAMES), None)
