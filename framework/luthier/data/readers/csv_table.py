"""CSV and TSV tables with a header."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from luthier.data.readers.characters import bad_character
from luthier.data.readers.filled_in import as_given
from luthier.data.readers.lines import Line, lines
from luthier.data.readers.opening import one_file
from luthier.data.records import Record
from luthier.errors import DataError

LONGEST_FIELD = 2**31 - 1
REASONS = {"unexpected end of data": "A quote opens in this row and is never closed"}


@dataclass(frozen=True)
class CsvTable:
    """Read a table of text fields; a row with more or fewer fields than the header is refused.

    `delimiter` null means a tab for .tsv and a comma for other files. `columns` names the columns of a file without a
    header. `quote` is the character around fields with delimiters or line breaks; empty: quotes are plain text. The
    line of a row is that on which it starts. Blank lines are skipped.
    """

    delimiter: str | None = None
    columns: list[str] | None = None
    quote: str = '"'

    def files(self, path: Path) -> list[Path]:
        return one_file(path)

    def records(self, path: Path, name: str) -> Iterator[Record]:
        plain = path.name.removesuffix(path.suffix) if path.suffix in {".gz", ".zst"} else path.name
        delimiter = self.delimiter or ("\t" if plain.endswith(".tsv") else ",")
        source = _RowLines(lines(path, name))
        quoting = {"quotechar": self.quote, "strict": True} if self.quote else {"quoting": csv.QUOTE_NONE}
        csv.field_size_limit(LONGEST_FIELD)
        rows = csv.reader(source, delimiter=delimiter, **quoting)
        try:
            header = self.columns or self._header(rows, source, name, delimiter)
        except csv.Error as error:
            raise DataError(f"The header cannot be read: {error}.", where=f"{name}:1") from None
        if header is None:
            return
        while True:
            source.lines.clear()
            try:
                fields = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield _record(None, source, name, REASONS.get(str(error), f"The row cannot be read: {error}"))
                continue
            if not _blank(fields):
                yield _record(fields, source, name, _misfit(fields, header), header)

    def _header(self, rows: Iterator[list[str]], source: _RowLines, name: str, delimiter: str) -> list[str] | None:
        header = [column.strip() for column in next((fields for fields in rows if not _blank(fields)), [])]
        if not header:
            return None
        fault = next((line.fault for line in source.lines if line.fault), None)
        if fault:
            raise fault
        other = next((mark for mark in ";\t|," if mark != delimiter and len(header) == 1 and mark in header[0]), None)
        if other:
            raise DataError(
                f"The header has the one column {header[0]!r}.",
                where=f"{name}:1",
                hint=f"If {other!r} separates its columns, set data.reader.delimiter={other!r}.",
            )
        if not all(header) or len(set(header)) != len(header):
            raise DataError(
                f"The header names no column, or one twice or not at all: {', '.join(map(repr, header))}.",
                where=f"{name}:1",
                hint="Where the file has no header, name its columns: data.reader.columns=[id,text,label].",
            )
        return header


class _RowLines:
    """The text of lines for the csv module; `lines` collects those of the current row."""

    def __init__(self, source: Iterator[Line]) -> None:
        self.source, self.lines = source, list[Line]()

    def __iter__(self) -> Iterator[str]:
        for line in self.source:
            self.lines.append(line)
            yield line.text


def _blank(fields: list[str]) -> bool:
    return not fields or (len(fields) == 1 and not fields[0].strip())


def _misfit(fields: list[str], header: list[str]) -> str:
    if len(fields) == len(header):
        return ""
    return f"The row has {len(fields)} fields, the header {len(header)}"


def _record(
    fields: list[str] | None, source: _RowLines, name: str, reason: str, header: list[str] | None = None
) -> Record:
    number = source.lines[0].number if source.lines else 0
    raw = "".join(line.text for line in source.lines)
    fault = next((line.fault for line in source.lines if line.fault), None)
    if fault is None and not reason and (bad := bad_character(fields)):
        reason = f"The text has a bad character: {bad}"
    if fault is None and reason:
        fault = DataError(f"{reason}.", where=f"{name}:{number}", hint="Is a field with a delimiter in it quoted?")
    row = as_given(dict(zip(header or [], fields or [], strict=False))) if fault is None else None
    return Record(name, number, row, fault, raw)
