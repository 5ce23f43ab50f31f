"""CSV and TSV tables with a header."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from luthier.data.readers.characters import bad_character
from luthier.data.readers.filled_in import with_turns
from luthier.data.readers.lines import Line, lines
from luthier.data.readers.opening import one_file
from luthier.data.records import Record
from luthier.errors import DataError
from luthier.errors.pasting import setting_to_paste

_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
LONGEST_FIELD = 2**31 - 1
REASONS = {"unexpected end of data": "A quote opens in this row and is never closed"}


@dataclass(frozen=True)
class CsvTable:
    """Read a table of text fields; a row with more or fewer fields than the header is refused.

    `delimiter` null means that of a first line `sep=…`, as Excel writes it, else a tab for .tsv and a comma for other
    files; `\\t` is a tab. `columns` names the columns of a file without a header. `quote` is the character around
    fields with delimiters or line breaks; empty: quotes are plain text. The line of a row is that on which it starts.
    Blank lines are skipped.
    """

    delimiter: str | None = None
    columns: list[str] | None = None
    quote: str = '"'

    def files(self, path: Path) -> list[Path]:
        return one_file(path)

    def records(self, path: Path, name: str) -> Iterator[Record]:
        plain = path.name.removesuffix(path.suffix) if path.suffix in {".gz", ".zst"} else path.name
        source = _RowLines(lines(path, name))
        named = "\t" if self.delimiter == "\\t" else self.delimiter
        delimiter = named or source.separator or ("\t" if plain.endswith(".tsv") else ",")
        quoting = {"quotechar": self.quote, "strict": True} if self.quote else {"quoting": csv.QUOTE_NONE}
        csv.field_size_limit(LONGEST_FIELD)
        rows = _Unwrapped(csv.reader(source, delimiter=delimiter, **quoting), delimiter)
        try:
            header = self.columns or self._header(rows, source, name, delimiter)
        except csv.Error as error:
            text = source.lines[-1].text if source.lines else ""
            hint = _other_delimiter(text, delimiter)
            raise DataError(
                f"The header cannot be read: {error}.", where=f"{name}:{_number(source)}", hint=hint
            ) from None
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
                by = f"data.reader.columns ({', '.join(self.columns)})" if self.columns else "the header"
                yield _record(
                    fields,
                    source,
                    name,
                    _misfit(fields, header, by),
                    header,
                )

    def _header(self, rows: Iterator[list[str]], source: _RowLines, name: str, delimiter: str) -> list[str] | None:
        header = [column.strip() for column in next((fields for fields in rows if not _blank(fields)), [])]
        if not header:
            return None
        fault = next((line.fault for line in source.lines if line.fault), None)
        if fault:
            raise fault
        place = f"{name}:{_number(source)}"
        if len(header) == 1 and (hint := _other_delimiter(header[0], delimiter)):
            raise DataError(f"The header has the one column {header[0]!r}.", where=place, hint=hint)
        if len(header) > 1 and not header[0] and all(header[1:]) and len(set(header)) == len(header):
            raise DataError(
                "The first column has no name; pandas writes its index so.",
                where=place,
                hint="Write the file without it: df.to_csv(path, index=False).",
            )
        if not all(header) or len(set(header)) != len(header):
            raise DataError(
                f"The header names no column, or one twice or not at all: {', '.join(map(repr, header))}.",
                where=place,
                hint="Where the file has no header, name its columns: 'data.reader.columns=[id, text, label]'.",
            )
        return header


class _RowLines:
    """The text of lines for the csv module; `lines` collects those of the current row.

    `separator` is the delimiter that the first line names (`sep=;`), which is no row; an empty string if it names none.
    """

    def __init__(self, source: Iterator[Line]) -> None:
        self.source, self.lines = source, list[Line]()
        first = next(source, None)
        named = _SEPARATOR.fullmatch(first.text) if first else None
        self.separator = named[1] if named else ""
        if first and not named:
            self.source = chain([first], source)

    def __iter__(self) -> Iterator[str]:
        for line in self.source:
            self.lines.append(line)
            yield line.text


class _Unwrapped:
    """The rows; where the header stands in quotes as a whole, each line is one field, which holds those of the row.

    An iterator, not a generator: after a row with an error it goes on with the next.
    """

    def __init__(self, rows: Iterator[list[str]], delimiter: str) -> None:
        self.rows, self.delimiter = rows, delimiter
        self.wrapped: bool | None = None

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        fields = next(self.rows)
        if self.wrapped is None and not _blank(fields):
            self.wrapped = len(fields) == 1 and self.delimiter in fields[0]
        if not self.wrapped or not fields:
            return fields
        return next(csv.reader(io.StringIO(fields[0], newline=""), delimiter=self.delimiter), [])


def _other_delimiter(header: str, delimiter: str) -> str:
    """The hint for a header in which another mark parts the columns; an empty string where none does."""
    other = next((mark for mark in ";\t|," if mark != delimiter and mark in header), None)
    if other is None:
        return ""
    named, value = ("a tab", "\\t") if other == "\t" else (repr(other), other)
    return (
        f"If {named} separates its columns, read it with data=csv {setting_to_paste('data.reader.delimiter', value)}."
    )


def _number(source: _RowLines) -> int:
    return source.lines[0].number if source.lines else 1


def _blank(fields: list[str]) -> bool:
    return not fields or (len(fields) == 1 and not fields[0].strip())


def _misfit(fields: list[str], header: list[str], by: str) -> str:
    if len(fields) == len(header):
        return ""
    return f"The row has {len(fields)} fields, {by} {len(header)}"


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
    row = with_turns(dict(zip(header or [], fields or [], strict=False))) if fault is None else None
    return Record(name, number, row, fault, raw)
