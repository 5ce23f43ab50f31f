"""The quarantine: a file of the rows that could not be used, each with the reason."""

from __future__ import annotations

import json
from pathlib import Path

from luthier.data.records import Record
from luthier.errors import DataError, ResourceError

FILE = "quarantine.jsonl"


class Quarantine:
    """Writes `quarantine.jsonl` into a folder: `where`, `reason` and `raw`, the row as it was read, on each line.

    The first row of a reading overwrites the file; each row is written before the next is read.
    """

    def __init__(self, folder: str | None) -> None:
        self.file = Path(folder or ".") / FILE
        self.mode = "w"

    def add(self, record: Record, fault: DataError) -> None:
        raw = record.raw if record.raw is not None else json.dumps(record.row, ensure_ascii=False, default=str)
        entry = {"where": fault.where or record.where, "reason": fault.message, "raw": raw.rstrip("\r\n")}
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open(self.mode, encoding="ascii") as file:
                file.write(json.dumps(entry) + "\n")  # ASCII: bytes that are not UTF-8 become escapes
        except OSError as error:
            raise ResourceError(f"{self.file} cannot be written: {error.strerror or error}.") from error
        self.mode = "a"
