"""A folder of data files, each read according to its file name extension."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from luthier.data.readers import Reader
from luthier.data.readers.arrow import ArrowFile, is_beside_saved_rows
from luthier.data.readers.conll import Conll
from luthier.data.readers.csv_table import CsvTable
from luthier.data.readers.json_document import JsonDocument
from luthier.data.readers.json_lines import JsonLines
from luthier.data.readers.opening import one_file
from luthier.data.readers.parquet import Parquet
from luthier.data.readers.plain_text import ENDINGS, PlainText
from luthier.data.records import Record
from luthier.errors import DataError

TABLE_ENDINGS: dict[str, tuple[str, Reader]] = {
    ".jsonl": ("jsonl", JsonLines()),
    ".ndjson": ("jsonl", JsonLines()),
    ".json": ("json", JsonDocument()),
    ".csv": ("csv", CsvTable()),
    ".tsv": ("csv", CsvTable()),
    ".parquet": ("parquet", Parquet()),
    ".arrow": ("folder", ArrowFile()),
    ".conll": ("conll", Conll()),
    ".bio": ("conll", Conll()),
    ".iob2": ("conll", Conll()),
}
"""File ending -> the `data` answer and the reader of tables with that ending."""
TEXTS: dict[str, tuple[str, Reader]] = {ending: ("text", PlainText()) for ending in ENDINGS}


def reader_for(path: Path) -> tuple[str, Reader] | None:
    """The option of `data` and the reader for a file of this name (without .gz and .zst); None if unknown."""
    plain = path.with_suffix("") if path.suffix.lower() in {".gz", ".zst"} else path
    return (TABLE_ENDINGS | TEXTS).get(plain.suffix.lower())


@dataclass(frozen=True)
class ByEnding:
    """Read all JSONL, JSON, CSV, TSV, Parquet, Arrow and CoNLL files below a folder, by name; or one such file.

    In a folder of `save_to_disk` of the `datasets` library, the files with its rows are read. Text files are read,
    by paragraphs, only where there is none of these. `glob` selects files. Files and folders whose names start with
    a dot are skipped.
    """

    glob: str = "**/*"

    def files(self, path: Path) -> list[Path]:
        if reader_for(path) and not path.is_dir():
            return one_file(path)
        if not path.is_dir():
            raise DataError(
                f"{path} is neither a folder nor a file of a known kind." if path.exists() else f"There is no {path}.",
                where=str(path),
                hint="Read a file of another name with data=jsonl, csv, json, parquet or text.",
            )
        visible = [
            file
            for file in sorted(path.glob(self.glob))
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
        ]
        known = {file: found[0] for file in visible if (found := reader_for(file)) and not is_beside_saved_rows(file)}
        chosen = [file for file in known if known[file] != "text"] or list(known)
        if not chosen:
            raise DataError(
                f"The folder {path} holds no file to read: {len(visible)} files match the glob {self.glob!r}.",
                where=str(path),
                hint=f"These endings are known: {', '.join([*TABLE_ENDINGS, *TEXTS])}, also followed by .gz or .zst.",
            )
        return chosen

    def records(self, path: Path, name: str) -> Iterator[Record]:
        found = reader_for(path)
        assert found is not None  # `files` gave the path
        return found[1].records(path, name)
