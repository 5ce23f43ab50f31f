"""events.jsonl: what happened to a run, one JSON object a line, only ever added to."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

from luthier.disk.redaction import redact


class EventLog:
    """Adds events to a file, each flushed at once; `None` as the file keeps nothing (ranks other than the first)."""

    def __init__(self, file: Path | None) -> None:
        self.file = file

    def tell(self, event: str, **facts: Any) -> None:
        """One line: when, what, and its facts, secrets redacted."""
        if self.file is None:
            return
        line = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **redact(facts)}
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(as_line(line))

    def read(self) -> list[dict[str, Any]]:
        """All events; a line that a kill cut short is left out."""
        if self.file is None or not self.file.exists():
            return []
        return complete_lines(self.file)


def as_line(record: dict[str, Any]) -> str:
    """A record as a line of strict JSON: what is not finite becomes its name, never a number that it is not."""
    return json.dumps(_strict(record), allow_nan=False, default=str) + "\n"


def complete_lines(file: Path) -> list[dict[str, Any]]:
    """The records of a file, up to the first line that is not whole."""
    records: list[dict[str, Any]] = []
    for line in file.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(record, dict):
            break
        records.append(record)
    return records


def _strict(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return value
