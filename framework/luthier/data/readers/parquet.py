"""Parquet files, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.data.readers.characters import bad_character
from luthier.data.readers.opening import one_file
from luthier.data.records import Record
from luthier.errors import DataError

BATCH = 1024  # rows


@dataclass(frozen=True)
class Parquet:
    """Read a Parquet file; the line of a row is its number from 1."""

    def files(self, path: Path) -> list[Path]:
        return one_file(path)

    def records(self, path: Path, name: str) -> Iterator[Record]:
        import pyarrow  # type: ignore[import-untyped]
        from pyarrow import parquet

        try:
            with parquet.ParquetFile(path) as file:
                number = 0
                for batch in file.iter_batches(batch_size=BATCH):
                    yield from _records(batch, name, number)
                    number += batch.num_rows
        except (pyarrow.ArrowInvalid, pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{name} is not a whole Parquet file: {str(error).splitlines()[0]}", where=name) from error


def _records(batch: Any, name: str, before: int) -> Iterator[Record]:
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError:  # read the rows one by one to find it
        yield from (_record(batch, index, name, before + index + 1) for index in range(batch.num_rows))
        return
    for number, row in enumerate(rows, start=before + 1):
        bad = bad_character(row)
        fault = DataError(f"The text has a bad character: {bad}.", where=f"{name}:{number}") if bad else None
        yield Record(name, number, None if bad else row, fault)


def _record(batch: Any, index: int, name: str, number: int) -> Record:
    try:
        (row,) = batch.slice(index, 1).to_pylist()
    except UnicodeDecodeError as error:
        reason = f"A text is not UTF-8: the byte 0x{error.object[error.start]:02X} at its byte offset {error.start}"
        return Record(name, number, fault=DataError(f"{reason}.", where=f"{name}:{number}"))
    return Record(name, number, row)
