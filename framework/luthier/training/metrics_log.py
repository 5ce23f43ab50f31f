"""metrics.jsonl: one line for each optimizer step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TextIO

from luthier.disk.writing import write_text
from luthier.records.events import as_line, complete_lines


class MetricsLog:
    """Writes a line for each step, each flushed at once; a run that continues first cuts what it will do again."""

    def __init__(self, file: Path) -> None:
        self.file = file  # metrics.jsonl of the run
        self._stream: TextIO | None = None

    def start_after(self, step: int) -> int:
        """Keep the lines up to `step` and write after them; gives the number of lines that went.

        Half a line at the end of a killed run goes too. The file is replaced in one move.
        """
        self.close()
        known = complete_lines(self.file) if self.file.exists() else []
        kept = [record for record in known if record.get("step", 0) <= step]
        write_text(self.file, "".join(as_line(record) for record in kept))
        self._stream = self.file.open("a", encoding="utf-8")
        return len(known) - len(kept)

    def write(self, record: dict[str, Any]) -> None:
        """Write one line and flush it; `start_after` opens the file."""
        assert self._stream is not None, "start_after opens the file"
        self._stream.write(as_line(record))
        self._stream.flush()

    def sync(self) -> None:
        """Have the lines on the disk before a checkpoint that is later than they are."""
        if self._stream is not None:
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file; closing twice changes nothing."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
