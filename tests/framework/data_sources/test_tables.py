"""CSV files as spreadsheets write them are understood, or refused with a setting that reads them."""

from __future__ import annotations

import csv
import io
import shlex

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.config import command_line
from luthier.data.readers.csv_table import CsvTable
from luthier.data.sources.files import Files
from luthier.data.splits import GivenSplits
from luthier.errors import DataError

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
ROWS = [{"prompt": "a, b", "completion": "c; d"}, {"prompt": 'say "x"', "completion": "two\nlines"}]
CELLS = st.text('ab,;|\t"é', max_size=6).filter(str.strip)


def table(rows, delimiter=",", end="\r\n", quoting=csv.QUOTE_MINIMAL, before=""):
    written = io.StringIO()
    writer = csv.DictWriter(written, ["prompt", "completion"], delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writeheader()
    writer.writerows(rows)
    return before + written.getvalue()


def read(path, **asked):
    return [record.row for record in CsvTable(**asked).records(path, "rows.csv")]


@QUICK
@given(
    rows=st.lists(st.fixed_dictionaries({"prompt": CELLS, "completion": CELLS}), min_size=1, max_size=3),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    mark=st.booleans(),
)
def test_the_rows_are_read_whatever_the_delimiter_that_is_named_the_line_end_and_the_quotes(
    write, rows, delimiter, end, quoting, mark
):
    text = table(rows, delimiter, end, quoting, before=("\ufeff" if mark else "") + f"sep={delimiter}{end}")
    assert read(write(text, name="rows.csv")) == rows
    bare = write(table(rows, delimiter, end, quoting), name="bare.csv")
    assert read(bare, delimiter="\\t" if delimiter == "\t" else delimiter) == rows


def test_the_line_of_a_row_counts_the_line_that_names_the_separator_and_returns(write):
    path = write("sep=;\rprompt;completion\ra;b\rc\r", name="rows.csv")
    with pytest.raises(DataError, match=r"rows.csv:4: The row has 1 fields"):
        list(Files(file=str(path)))


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_another_delimiter_is_refused_with_the_setting_to_paste(write, delimiter, quoting):
    path = write(table([{"prompt": "a", "completion": "b"}], delimiter, quoting=quoting), name="rows.csv")
    with pytest.raises(DataError, match="header") as caught:
        list(Files(file=str(path)))
    (word,) = [word for word in shlex.split(caught.value.hint.rstrip(".")) if word.startswith("data.reader.delimiter=")]
    (setting,) = command_line.read([word])
    reader = CsvTable(
        delimiter=setting.override.value()
        if isinstance(setting.override.value(), str)
        else str(setting.override.value())
    )
    assert len(list(Files(file=str(path), reader=reader, splits=GivenSplits()))) == 1


@QUICK
@given(rows=st.lists(st.fixed_dictionaries({"prompt": CELLS, "completion": CELLS}), min_size=1, max_size=3))
def test_lines_that_stand_in_quotes_as_a_whole_are_read(write, rows):
    written = io.StringIO()
    lines = [table([row]).splitlines(keepends=False) for row in rows]
    wrapped = csv.writer(written, quoting=csv.QUOTE_ALL)
    wrapped.writerow([lines[0][0]])
    wrapped.writerows([["\n".join(each[1:])] for each in lines])
    assert read(write(written.getvalue(), name="rows.csv")) == rows


def test_json_lines_with_returns_alone_are_read(write):
    path = write(b'{"prompt": "a", "completion": "b"}\r{"prompt": "c", "completion": "d"}\r')
    assert len(list(Files(file=str(path), splits=GivenSplits()))) == 2


def test_rows_after_one_that_cannot_be_read_are_read(write):
    path = write('prompt,completion\na,b\n"c"x,d\ne,f\n', name="rows.csv")
    source = Files(file=str(path), on_bad_row="skip", splits=GivenSplits())
    assert [example["messages"][0]["content"] for example in source] == ["a", "e"]
    assert source.counts["skipped"] == 1
