"""`luthier preview`: the token ledger of a recipe's examples."""

from __future__ import annotations

import json

ROW = {"messages": [{"role": "user", "content": "Is it made of maple?"}, {"role": "assistant", "content": "It is."}]}


def test_an_example_is_shown_token_by_token(luthier):
    end = luthier("preview", "recipe=demo", "debug=tiny", "--json")
    assert end.code == 0, end.err
    (ledger,) = end.record
    assert {"user", "assistant"} <= {token["role"] for token in ledger["tokens"]}
    assert all(token["role"] == "assistant" for token in ledger["tokens"] if token["weight"])
    assert any(token["weight"] for token in ledger["tokens"])


def test_as_many_examples_are_shown_as_are_asked_for(luthier):
    end = luthier("preview", "debug=tiny", "--example", "2", "--count", "3", "--json")
    assert len({ledger["where"] for ledger in end.record}) == 3


def test_each_token_has_its_line_where_that_is_asked(luthier):
    few, many = (luthier("preview", "debug=tiny", *more).out.splitlines() for more in ([], ["--tokens"]))
    assert len(many) > len(few) > 3


def test_a_page_is_written_where_that_is_asked(luthier, here):
    assert luthier("preview", "debug=tiny", "--html", "ledger.html").code == 0
    assert "<html" in (here / "ledger.html").read_text()


def test_an_example_that_there_is_not_is_named(luthier):
    end = luthier("preview", "debug=tiny", "--example", "99", "--json")
    assert end.code == 2
    assert "counted from 0" in end.error["hint"]


def test_no_row_is_put_into_quarantine_by_looking(luthier, write, here):
    write("mine.jsonl", "".join(json.dumps(row) + "\n" for row in [{"messages": 3}, *[ROW] * 9]))
    end = luthier("preview", "data=jsonl", "data.file=mine.jsonl", "data.on_bad_row=quarantine")
    assert end.code == 0, end.err
    assert [file.name for file in here.iterdir()] == ["mine.jsonl"]


def test_a_data_error_has_file_and_line(luthier, write):
    write("mine.jsonl", json.dumps(ROW) + "\n{\n")
    end = luthier("preview", "data=jsonl", "data.file=mine.jsonl", "--json")
    assert end.code == 3
    assert end.error["where"].startswith("mine.jsonl:2")
