"""`luthier preview`: the token ledger of a recipe's examples."""

from __future__ import annotations

import json
import os

import pytest

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


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def chat(answer, **keys):
    return {"messages": [ROW["messages"][0], {"role": "assistant", "content": answer, **keys}]}


MINE = ("data=jsonl", "data.file=mine.jsonl", "data.splits.test=0")


def test_a_key_of_a_message_that_is_not_read_is_named_with_its_place(luthier, write):
    write("mine.jsonl", lines(chat("Yes."), chat("No.", mood="sure")))
    end = luthier("preview", *MINE)
    assert end.code == 0, end.err
    assert "The key 'mood' of messages is not read, so nothing is learned of it (mine.jsonl:2)" in end.err


def test_other_rows_of_equal_size_and_time_are_shown(luthier, write, here):
    write("mine.jsonl", lines(chat("Spruce.")))
    times = (here / "mine.jsonl").stat()
    assert "Spruce" in trained(luthier("preview", *MINE, "--json"))
    write("mine.jsonl", lines(chat("Maples.")))
    os.utime(here / "mine.jsonl", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (here / "mine.jsonl").stat().st_size == times.st_size
    assert "Maples" in trained(luthier("preview", *MINE, "--json"))


def trained(end):
    return "".join(token["text"] for token in end.record[0]["tokens"] if token["weight"])


@pytest.mark.parametrize("keys", [{"weight": 0}, {"train": False}, {"loss": 0}, {"masked": True}])
def test_a_turn_that_another_tool_leaves_out_is_not_trained(luthier, write, keys):
    turns = [*chat("Perhaps.", **keys)["messages"], *chat("It is.")["messages"]]
    write("mine.jsonl", lines({"messages": turns}))
    assert trained(luthier("preview", *MINE, "--json")).startswith("It is.")


def test_supervised_fine_tuning_does_not_learn_an_answer_that_was_not_liked(luthier, write):
    write("mine.jsonl", lines({**chat("Yes."), "kto_tag": False}))
    end = luthier("preview", *MINE, "--json")
    assert end.code == 3
    assert end.error["where"] == "mine.jsonl:1"
    assert "method=kto" in end.error["hint"]
    assert luthier("preview", *MINE, "method=kto", "--json").code == 0


def test_a_folder_that_the_datasets_library_saved_is_shown_as_its_rows(luthier, here):
    import datasets

    datasets.Dataset.from_list([chat("Spruce."), chat("Maple.")]).save_to_disk(str(here / "saved"))
    for source in (("data=folder", "data.file=saved"), ("data=hub", "data.name=saved")):
        end = luthier("preview", *source, "data.splits.test=0", "--json")
        assert "Spruce" in trained(end)
