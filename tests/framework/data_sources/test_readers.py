"""Readers know what their settings say, and a first look names the answer for a file."""

from __future__ import annotations

import gzip
import json

import pytest

from luthier.data.readers.csv_table import CsvTable
from luthier.data.readers.plain_text import PlainText
from luthier.data.sources.files import Files
from luthier.errors import DataError


def rows(reader, path):
    return [(record.line, record.row) for record in reader.records(path, "rows")]


def test_a_table_without_a_header_and_with_quotes_that_are_text(write):
    path = write('1\t-0.9\tsay "no" to it\r\n2\t3\t"unclosed\r\n', "rows.txt")
    reader = CsvTable(delimiter="\t", columns=["id", "rating", "text"], quote="")
    assert rows(reader, path) == [
        (1, {"id": "1", "rating": "-0.9", "text": 'say "no" to it'}),
        (2, {"id": "2", "rating": "3", "text": '"unclosed'}),
    ]


def test_a_field_may_hold_line_breaks_delimiters_and_a_megabyte(write):
    long = "x" * 1_000_000
    path = write(f'a,b\n"one\r\ntwo, three",{long}\nc,d\n', "rows.csv")
    assert rows(CsvTable(), path) == [(2, {"a": "one\r\ntwo, three", "b": long}), (4, {"a": "c", "b": "d"})]


@pytest.mark.parametrize(
    ("unit", "found"),
    [
        ("line", [(1, "One"), (2, "two."), (5, "Three.")]),
        ("paragraph", [(1, "One\ntwo."), (5, "Three.")]),
        ("file", [(1, "One\ntwo.\n\n \nThree.")]),
    ],
)
def test_text_is_cut_into_units(write, unit, found):
    path = write("One\r\ntwo.\r\n\r\n \r\nThree.\r\n", "a.txt")
    assert rows(PlainText(unit), path) == [(line, {"text": text}) for line, text in found]


def test_a_folder_of_text_is_read_whole_without_hidden_files(write, tmp_path):
    write("One.", "texts/b/one.txt")
    write(gzip.compress(b"Two."), "texts/a.md.gz")
    write("Hidden.", "texts/.git/three.txt")
    write('{"a": 1}', "texts/four.json")
    source = Files(file=str(tmp_path / "texts"), reader=PlainText())
    assert [example["text"] for example in source] == ["Two.", "One."]
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no text file"):
        list(Files(file=str(tmp_path / "none"), reader=PlainText()))


def test_the_fingerprint_changes_with_the_file_alone(write, pairs):
    path = write(pairs(5))
    source = Files(file=str(path))
    list(source)
    before = json.dumps(source.fingerprint())
    list(source)
    assert json.dumps(source.fingerprint()) == before
    assert source.fingerprint()["files"][0]["rows"] == 5
    path.write_text(path.read_text().replace("Answer 3", "Answer three"))
    assert source.fingerprint()["files"][0]["sha256"] not in before


def test_sources_need_no_torch():
    import subprocess
    import sys

    code = (
        "import sys, luthier.data.sources.hub, luthier.data.sources.mixture\n"
        "print('torch' in sys.modules, 'datasets' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("name", ["~no such user !.jsonl", "~nosuchuser/rows.jsonl"])
def test_a_tilde_before_a_name_without_a_home_belongs_to_the_path(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text('{"text": "a"}\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    for written in (name, f"~/{name}"):
        assert [example["text"] for example in Files(file=written, format="text")] == ["a"]
