"""What every format keeps to; inherit it, and give rows that it reads.

class TestMine(FormatContract):
    answer = "data/format=mine"
    rows = ({"q": "Which wood?", "a": "Spruce."},)
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from luthier.data.formats.format import Format
from luthier.errors import DataError
from luthier.testing.part import PartContract

CONTENT = {"messages", "text", "chosen", "rejected"}


class FormatContract(PartContract):
    """`rows` are rows as a file has them, all of which the format reads; `answer` is `data/format=NAME`.

    With `detected` false, `data/format=auto` need not find it: its rows are those of another format, too.
    """

    rows: ClassVar[Sequence[Mapping[str, Any]]]
    detected: ClassVar[bool] = True
    around: ClassVar[tuple[str, ...]] = ("data=jsonl", "data.file=rows.jsonl")

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """A file with the rows."""
        file = tmp_path / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in self.rows), encoding="utf-8")
        return file

    def test_it_reads_its_rows_and_leaves_them_as_they_are(self) -> None:
        for row in self.rows:
            given = copy.deepcopy(dict(row))
            example = self._settled()(given, Counter())
            assert given == row
            assert example is None or CONTENT & example.keys(), example

    def test_it_recognises_its_rows_alone(self) -> None:
        assert all(isinstance(why := self._format().recognises(dict(row)), str) and why for row in self.rows)
        assert self._format().recognises({}) == ""
        assert self._format().recognises({"no such column": 1}) == ""

    def test_another_row_is_refused_as_bad_data(self) -> None:
        for row in ({}, {"no such column": 1}):
            with pytest.raises(DataError):
                self._settled()(row, Counter())

    def test_it_says_what_it_is_called_and_what_it_expects(self) -> None:
        assert self._format().name == self.answer.partition("=")[2]
        assert self._format().expects

    def test_a_file_of_its_rows_becomes_examples(self, file: Path, tmp_path: Path) -> None:
        source = self.run(tmp_path / "run", f"data.file={file}").parts.source
        assert all(example["where"] and example["split"] for example in source)

    def test_its_rows_are_detected(self, file: Path, tmp_path: Path) -> None:
        words = (*self.recipe(), f"data.file={file}", "data/format=auto")
        from luthier.testing.twin import twin

        source: Any = twin(tmp_path / "run", *words, plugins=self.plugins).parts.source
        found = [*source] and source.detected.name
        assert not self.detected or found == self._format().name, source.detected

    def _format(self) -> Format:
        built: Format = self.built()
        return built

    def _settled(self) -> Format:
        return self._format().settle([dict(row) for row in self.rows])
