"""Rows of Arrow's record batches, and the files in which the `datasets` library keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.data.readers.characters import bad_character
from luthier.data.readers.filled_in import with_turns, without_filled_in
from luthier.data.readers.opening import one_file
from luthier.data.records import Record
from luthier.errors import DataError

ClassNames = Mapping[str, Sequence[str]]
STATE, INFO, SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
"""Files of `save_to_disk` beside the rows."""


@dataclass(frozen=True)
class ArrowFile:
    """Read an Arrow file, as `datasets` writes them with `save_to_disk`; the line of a row is its number from 1."""

    def files(self, path: Path) -> list[Path]:
        return one_file(path)

    def records(self, path: Path, name: str) -> Iterator[Record]:
        import pyarrow  # type: ignore[import-untyped]

        try:
            with _batches(path) as batches:
                number, names = 0, class_names(batches.schema)
                for batch in batches:
                    yield from records_of_batch(batch, name, number, names)
                    number += batch.num_rows
        except (pyarrow.ArrowInvalid, pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{name} is not a whole Arrow file: {str(error).splitlines()[0]}", where=name) from error


@contextmanager
def _batches(path: Path) -> Iterator[Any]:
    """The record batches of a file in Arrow's stream or file format, with their `schema`."""
    import pyarrow

    with pyarrow.memory_map(str(path)) as source:
        if source.read(6) == b"ARROW1":
            table = pyarrow.ipc.open_file(source)
            yield _Batches(table.schema, (table.get_batch(index) for index in range(table.num_record_batches)))
        else:
            source.seek(0)
            yield pyarrow.ipc.open_stream(source)


@dataclass(frozen=True)
class _Batches:
    schema: Any
    batches: Iterator[Any]

    def __iter__(self) -> Iterator[Any]:
        return self.batches


def class_names(schema: Any) -> ClassNames:
    """The names of the classes in each column of class labels, which `datasets` keeps beside the numbers."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: feature["names"]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    except (KeyError, ValueError, TypeError, AttributeError):  # written by another program
        return {}


def record_of_row(row: Mapping[str, Any], name: str, number: int, names: ClassNames) -> Record:
    """The record of a row as it was given, with the names of its classes; a fault where its text has bad characters."""
    given = with_turns(without_filled_in(row))
    for column, classes in names.items():
        label = given.get(column)
        if isinstance(label, int) and 0 <= label < len(classes):
            given[column] = classes[label]
    if bad := bad_character(given):
        return Record(name, number, fault=DataError(f"The text has a bad character: {bad}.", where=f"{name}:{number}"))
    return Record(name, number, given)


def records_of_batch(batch: Any, name: str, before: int, names: ClassNames) -> Iterator[Record]:
    """The records of a record batch whose first row is number `before` + 1; a text that is not UTF-8 is a fault."""
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError:  # read the rows one by one to find it
        yield from (_record(batch, index, name, before + index + 1, names) for index in range(batch.num_rows))
        return
    for number, row in enumerate(rows, start=before + 1):
        yield record_of_row(row, name, number, names)


def _record(batch: Any, index: int, name: str, number: int, names: ClassNames) -> Record:
    try:
        (row,) = batch.slice(index, 1).to_pylist()
    except UnicodeDecodeError as error:
        reason = f"A text is not UTF-8: the byte 0x{error.object[error.start]:02X} at its byte offset {error.start}"
        return Record(name, number, fault=DataError(f"{reason}.", where=f"{name}:{number}"))
    return record_of_row(row, name, number, names)


def is_beside_saved_rows(file: Path) -> bool:
    """Whether a file lies in a folder of `save_to_disk` and holds no rows: its descriptions, and cached tables."""
    if file.name == SPLITS:
        return True
    state = file.parent / STATE
    if not (state.is_file() and (file.parent / INFO).is_file()):
        return False
    try:
        rows = [each["filename"] for each in json.loads(state.read_text(encoding="utf-8"))["_data_files"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return file.name not in rows


def is_saved_dataset(folder: Path) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    return (folder / STATE).is_file() or (folder / SPLITS).is_file()
