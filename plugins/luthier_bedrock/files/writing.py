"""A file of lines that is whole or not there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def write_lines(file: Path, lines: Iterable[Any]) -> int:
    """Write an object a line, UTF-8; the number of lines. Where `lines` fails, what was there before stays."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".tmp-{file.name}")
    count = 0
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as stream:
            for line in lines:
                stream.write(json.dumps(line, ensure_ascii=False) + "\n")
                count += 1
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def write_text(file: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".tmp-{file.name}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)
