"""Files of tanka: a topic after `#`, five lines, and a blank line before the next."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from luthier.api import DataError, Format, HashSplits, Record, RecordsSource, Splits
from luthier_tanka.poems import Poem


@dataclass(kw_only=True)
class Tanka(RecordsSource):
    """Poems from one file, each with its topic."""

    file: str
    format: Format | str = field(default_factory=Poem)
    splits: Splits = field(default_factory=HashSplits)
    rename: dict[str, str] | None = None
    on_bad_row: Literal["error", "skip", "quarantine"] = "error"
    bad_budget: int = 100
    quarantine: str | None = None
    shuffle: int | None = None
    limit: int | None = None

    def records(self) -> Iterator[Record]:
        path = Path(self.file)
        if not path.is_file():
            raise DataError(f"There is no file {path}.", where=str(path))
        stanza: list[str] = []
        for number, line in enumerate([*path.read_text(encoding="utf-8").splitlines(), ""], start=1):
            if line.strip():
                stanza.append(line.strip())
            elif stanza:
                yield self._record(stanza, number - len(stanza))
                stanza = []

    def _record(self, stanza: list[str], line: int) -> Record:
        topic, *lines = stanza
        if not topic.startswith("#"):
            fault = DataError(
                "A tanka begins with its topic.", where=f"{self.file}:{line}", hint="Write it behind a #."
            )
            return Record(self.file, line, fault=fault)
        return Record(self.file, line, {"topic": topic.lstrip("# "), "lines": lines})

    def origin(self) -> dict[str, Any]:
        content = Path(self.file).read_bytes()
        return {"files": [{"name": self.file, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}]}
