"""Local data files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.data.readers import Reader
from luthier.data.readers.by_ending import ByEnding
from luthier.data.records import Record, checked
from luthier.data.sources.records_source import RecordsSource
from luthier.data.splits import HELD_OUT_FIRST, NAMES
from luthier.fetch.paths import local_path
from luthier.fetch.remembered import remembered_digest
from luthier.plugins.returned import misreturned, returned


@dataclass(kw_only=True)
class Files(RecordsSource):
    """Examples of a file, or of a folder where the reader reads folders.

    Of several files, one whose name or folder starts with train, validation (valid, val, dev, eval) or test gives its
    rows that split, if another file has another one; held-out files are read first, so that duplicates in both are
    dropped from training. `shuffle` is a seed: `limit` then takes random examples instead of the first.
    """

    file: str
    reader: Reader = field(default_factory=ByEnding)

    def files(self) -> list[tuple[Path, str | None]]:
        """The files in the order of reading, each with the split in its name."""
        folder = local_path(self.file)
        found: Any = returned(self.reader.files(folder), Iterable, self.reader.files)
        listed: list[Any] = [found] if isinstance(found, str) else list(found)
        if odd := [file for file in listed if not isinstance(file, Path)]:
            raise misreturned(self.reader.files, "a list of paths", odd[0])
        files = [(file, split_of_path(file, folder)) for file in listed]
        if len({split for _, split in files}) < 2:
            return [(file, None) for file, _ in files]
        return sorted(files, key=lambda pair: HELD_OUT_FIRST.index(pair[1]))

    def records(self) -> Iterator[Record]:
        for path, split in self.files():
            for record in returned(self.reader.records(path, str(path)), Iterable, self.reader.records):
                checked(record, self.reader.records).split = split
                yield record

    def files_now(self) -> Any:
        return [[str(path.absolute()), split, *file_state(path)] for path, split in self.files()]

    def origin(self) -> dict[str, Any]:
        return {"files": [described_file(path, str(path)) for path, _ in self.files()]}


def file_state(path: Path) -> tuple[int, str]:
    """The size of a file in bytes and its sha256, which is computed once for as long as the file does not change."""
    return path.stat().st_size, remembered_digest(path)


def described_file(path: Path, name: str) -> dict[str, Any]:
    """The manifest's entry of a file that was read: `name`, `sha256` and size in `bytes`."""
    return {"name": name, "sha256": remembered_digest(path), "bytes": path.stat().st_size}


def split_of_path(file: Path, folder: Path) -> str | None:
    """The split named by the first word of a file's name, or else of one of its folders; None if by neither."""
    inside = file.relative_to(folder) if folder in file.parents else Path(file.name)
    words = [re.split(r"[^a-z]+", part.lower())[0] for part in reversed(inside.parts)]
    return next((NAMES[word] for word in words if word in NAMES), None)
