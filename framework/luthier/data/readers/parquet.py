"""Parquet files, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from luthier.data.readers.arrow import class_names, records_of_batch
from luthier.data.readers.opening import one_file
from luthier.data.records import Record
from luthier.errors import DataError

BATCH = 1024  # rows


@dataclass(frozen=True)
class Parquet:
    """Read a Parquet file; the line of a row is its number from 1.

    Fields of structs that are null are left out, as Parquet gives all structs of a column the same fields.
    """

    def files(self, path: Path) -> list[Path]:
        return one_file(path)

    def records(self, path: Path, name: str) -> Iterator[Record]:
        import pyarrow  # type: ignore[import-untyped]
        from pyarrow import parquet

        try:
            with parquet.ParquetFile(path) as file:
                number, names = 0, class_names(file.schema_arrow)
                for batch in file.iter_batches(batch_size=BATCH):
                    yield from records_of_batch(batch, name, number, names)
                    number += batch.num_rows
        except (pyarrow.ArrowInvalid, pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{name} is not a whole Parquet file: {str(error).splitlines()[0]}", where=name) from error
