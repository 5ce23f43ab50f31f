"""Every source that ships keeps to the contract."""

from __future__ import annotations

import gzip
import json

import pytest

from luthier.data.formats.canonical import Canonical
from luthier.data.formats.text import Text
from luthier.data.readers.csv_table import CsvTable
from luthier.data.readers.plain_text import PlainText
from luthier.data.sources.files import Files
from luthier.data.sources.hub import Hub
from luthier.data.sources.mixture import Mixture
from luthier.data.sources.shipped import Shipped
from luthier.testing.source import SourceContract


class TestJsonLines(SourceContract):
    @pytest.fixture
    def source(self, write, pairs):
        return Files(file=str(write(pairs(20))))


class TestShuffled(SourceContract):
    @pytest.fixture
    def source(self, write, pairs):
        return Files(file=str(write(pairs(20))), shuffle=3, limit=10)


class TestCompressedCsv(SourceContract):
    @pytest.fixture
    def source(self, write):
        table = "prompt,completion\n" + "".join(f'"say ""{i}""",{i}\n' for i in range(9))
        return Files(file=str(write(gzip.compress(table.encode()), "rows.csv.gz")), reader=CsvTable())


class TestParquet(SourceContract):
    @pytest.fixture
    def source(self, tmp_path, pairs):
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(pairs(9)), tmp_path / "rows.parquet")
        return Files(file=str(tmp_path / "rows.parquet"))


class TestText(SourceContract):
    @pytest.fixture
    def source(self, write):
        return Files(file=str(write("One.\n\nTwo\nlines.\n\n\nThree.\n", "a.txt")), reader=PlainText(), format=Text())


class TestFolder(SourceContract):
    @pytest.fixture
    def source(self, write, pairs):
        write(pairs(9), "set/train.jsonl")
        write(json.dumps(pairs(12)[9:]), "set/test.json")
        return Files(file=str(write("nothing to read", "set/README.md").parent))


class TestHub(SourceContract):
    @pytest.fixture
    def source(self, write, pairs, tmp_path, monkeypatch):
        monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
        write(pairs(9), "set/train.jsonl")
        return Hub(name=str(write(pairs(12)[9:], "set/test.jsonl").parent))


class TestTiny(SourceContract):
    @pytest.fixture
    def source(self):
        return Shipped(name="tiny", format=Canonical())


class TestDemo(SourceContract):
    @pytest.fixture
    def source(self):
        return Shipped(name="demo")


class TestGeneral(SourceContract):
    @pytest.fixture
    def source(self):
        return Shipped(name="general")


class TestMixture(SourceContract):
    @pytest.fixture
    def source(self, write, pairs):
        one = Files(file=str(write(pairs(20))))
        return Mixture(sources={"one": one, "tiny": Shipped(name="tiny", format=Canonical())})


class TestWeightedMixture(SourceContract):
    @pytest.fixture
    def source(self, write, pairs):
        one, other = (Files(file=str(write(pairs(n)[m:], f"{n}.jsonl"))) for m, n in ((0, 20), (20, 60)))
        return Mixture(sources={"one": one, "other": other}, weights={"one": 1.0, "other": 2.0})
