"""Plain text files, by file, paragraph or line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from luthier.data.readers.characters import bad_character
from luthier.data.readers.lines import Line, lines
from luthier.data.readers.opening import one_file
from luthier.data.records import Record
from luthier.errors import DataError

ENDINGS = (".txt", ".md", ".rst", ".text")


@dataclass(frozen=True)
class PlainText:
    """Read a text file, or all text files of a folder, as rows with the single column `text`.

    `unit` of a row: the `file`, a `paragraph` (separated by blank lines) or a `line`. White space around a row is
    removed, CRLF becomes LF. Files and folders whose names start with a dot are skipped.
    """

    unit: Literal["file", "paragraph", "line"] = "paragraph"

    def files(self, path: Path) -> list[Path]:
        if not path.is_dir():
            return one_file(path)
        files = [file for file in sorted(path.rglob("*")) if _is_text(file, path)]
        if not files:
            raise DataError(f"The folder {path} holds no text file ({', '.join(ENDINGS)}).", where=str(path))
        return files

    def records(self, path: Path, name: str) -> Iterator[Record]:
        for piece in UNITS[self.unit](lines(path, name)):
            text = "".join(line.text for line in piece).replace("\r\n", "\n").strip()
            fault = next((line.fault for line in piece if line.fault), None)
            if fault is None and (bad := bad_character(text)):
                fault = DataError(f"The text has a bad character: {bad}.", where=f"{name}:{piece[0].number}")
            if text:
                yield Record(name, piece[0].number, None if fault else {"text": text}, fault, raw=text)


def _is_text(file: Path, folder: Path) -> bool:
    parts = file.relative_to(folder).parts
    plain = file.with_suffix("") if file.suffix in {".gz", ".zst"} else file
    return plain.suffix.lower() in ENDINGS and file.is_file() and not any(part.startswith(".") for part in parts)


def _paragraphs(source: Iterator[Line]) -> Iterator[list[Line]]:
    return (list(piece) for blank, piece in groupby(source, lambda line: not line.text.strip()) if not blank)


UNITS: dict[str, Callable[[Iterator[Line]], Iterator[list[Line]]]] = {
    "file": lambda source: iter([list(source)]),
    "paragraph": _paragraphs,
    "line": lambda source: ([line] for line in source),
}
