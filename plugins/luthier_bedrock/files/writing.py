"""Files that are whole or not there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from luthier.api import ResourceError


def write_lines(file: Path, lines: Iterable[Any]) -> int:
    """Write an object a line, UTF-8; the number of lines. Where `lines` fails, what was there before stays."""
    count = 0
    with _replacing(file) as stream:
        for line in lines:
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += 1
    return count


def write_text(file: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    with _replacing(file) as stream:
        stream.write(text)


@contextmanager
def _replacing(file: Path) -> Iterator[TextIO]:
    """A file beside the place that gets its name at the end; ResourceError where the disk does not let it."""
    temporary = file.with_name(f".tmp-{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = temporary.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise ResourceError(f"{file} cannot be written: {error.strerror}.", where=str(file)) from error
    try:
        with stream:
            yield stream
        temporary.replace(file)
    except OSError as error:
        raise ResourceError(f"{file} cannot be written: {error.strerror}.", where=str(file)) from error
    finally:
        temporary.unlink(missing_ok=True)
