"""What every reader of files keeps to; inherit it, and give a file that it reads.

class TestMine(ReaderContract):
    answer = "data/reader=mine"
    content, rows = b"q: Which wood?", ({"q": "Which wood?"},)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from luthier.data.readers import Reader
from luthier.data.records import Record
from luthier.errors import DataError
from luthier.testing.part import PartContract


class ReaderContract(PartContract):
    """`content` are the bytes of a file called `file_name`, `rows` what the reader makes of it."""

    content: ClassVar[bytes]
    rows: ClassVar[Sequence[Mapping[str, Any]]]
    file_name: ClassVar[str] = "rows.txt"
    around: ClassVar[tuple[str, ...]] = ("data=jsonl", "data.file=rows.txt")

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """The file."""
        file = tmp_path / self.file_name
        file.write_bytes(self.content)
        return file

    def test_it_gives_the_rows_of_the_file_in_order_each_time(self, file: Path) -> None:
        for _ in range(2):
            assert [record.row for record in self._records(file)] == [dict(row) for row in self.rows]

    def test_each_row_has_a_place(self, file: Path) -> None:
        places = [record.where for record in self._records(file)]
        assert all(place.startswith(self.file_name) for place in places), places
        assert len(set(places)) == len(places)

    def test_it_finds_the_file_and_says_where_there_is_none(self, file: Path, tmp_path: Path) -> None:
        assert self._reader().files(file) == [file]
        with pytest.raises(DataError):
            self._reader().files(tmp_path / "absent" / self.file_name)

    def test_a_source_reads_with_it(self, file: Path, tmp_path: Path) -> None:
        source: Any = self.run(tmp_path / "run", f"data.file={file}").parts.source
        assert [record.row for record in source.records()] == [dict(row) for row in self.rows]

    def _reader(self) -> Reader:
        built: Reader = self.built()
        return built

    def _records(self, file: Path) -> list[Record]:
        return list(self._reader().records(file, self.file_name))
