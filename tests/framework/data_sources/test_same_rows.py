"""What a file format adds is not data: the same rows give the same tokens from every kind of file."""

from __future__ import annotations

import csv
import json
import math
import os

import datasets
import pandas
import pyarrow
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from luthier.data.encoding import encode_conversation
from luthier.data.readers.json_document import JsonDocument
from luthier.data.sources.files import Files
from luthier.data.sources.hub import Hub
from luthier.data.splits import GivenSplits
from luthier.errors import DataError
from tests.framework.data_tokens.tiny_tokens import byte_level

QUICK = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a file of each kind is written for each example
)
TOKENIZER = byte_level(
    "{% if tools %}<|im_start|>tools {{ tools | tojson }}<|im_end|>{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message.role }} {{ message.content }}"
    "{% for call in message.tool_calls or [] %}{{ call | tojson }}{% endfor %}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant {% endif %}"
)
WORDS = st.text("abc dé", min_size=1, max_size=8).filter(str.strip)
NESTED = {"type": "object", "properties": {"street": {"type": "string"}}}
NAMES = ("city", "days", "unit", "note")
VALUES = {"city": WORDS, "days": st.integers(0, 9), "unit": st.sampled_from(["C", "F"]), "note": WORDS}


def in_order(draw, strategies):
    """Some of the keys, in the order that they have in all rows: a struct of Arrow has one order."""
    return {name: draw(values) for name, values in strategies.items() if draw(st.booleans())}


@st.composite
def schemas(draw):
    keywords = {"type": st.just("string"), "description": WORDS, "enum": st.lists(WORDS, min_size=1, max_size=2)}
    properties = in_order(draw, {name: st.builds(lambda: in_order(draw, keywords)) for name in NAMES})
    return {
        "type": "object",
        "properties": {
            "always": NESTED,
            **{name: {"type": "string", **each} for name, each in properties.items()},
        },
        **in_order(draw, {"required": st.lists(st.sampled_from(NAMES), max_size=2)}),
    }


@st.composite
def conversations(draw):
    """A row of messages, with calls, definitions and further keys where it happens."""
    messages = [{"role": "system", "content": draw(WORDS)}] if draw(st.booleans()) else []
    tools = []
    for number in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": f"{number} {draw(WORDS)}"})
        if draw(st.booleans()):
            name = draw(st.sampled_from(["look", "count"]))
            arguments = {"always": draw(WORDS), **in_order(draw, VALUES)}
            call = {"type": "function", "id": f"c{number}", "function": {"name": name, "arguments": arguments}}
            messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
            messages.append({"role": "tool", "content": draw(WORDS), "tool_call_id": f"c{number}"})
            definition = {"name": name, **in_order(draw, {"description": WORDS}), "parameters": draw(schemas())}
            tools.append({"type": "function", "function": definition})
        answer = {"role": "assistant", "content": draw(WORDS), **in_order(draw, {"weight": st.just(0.5)})}
        messages.append(answer)
    return {"messages": messages, **({"tools": tools} if tools else {})}


def tokens(source):
    return [
        (sequence.ids.tolist(), sequence.weights.tolist())
        for example in source
        for sequence in [encode_conversation(example, TOKENIZER)]
    ]


def files(rows, folder):
    """The rows in every kind of file that can hold them, by name."""
    folder.mkdir(exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(lines)
    (folder / "rows.json").write_text(json.dumps({"data": rows}, indent=1))
    table = in_arrow(rows)
    parquet.write_table(table, folder / "rows.parquet")
    data = datasets.Dataset(table)
    data.to_json(str(folder / "exported.jsonl"))
    data.to_parquet(str(folder / "datasets.parquet"))
    data.save_to_disk(str(folder / "saved"))
    datasets.DatasetDict({"train": data}).save_to_disk(str(folder / "saved_splits"))
    pandas.DataFrame(rows).to_json(folder / "pandas.jsonl", orient="records", lines=True)
    with (folder / "rows.csv").open("w", newline="") as file:
        written = csv.DictWriter(file, list(table.column_names))
        written.writeheader()
        written.writerows({key: json.dumps(value) for key, value in row.items()} for row in rows)
    hub = folder / "hub"
    hub.mkdir(exist_ok=True)
    parquet.write_table(table, hub / "train.parquet")
    names = ["rows.json", "rows.parquet", "exported.jsonl", "datasets.parquet", "saved", "saved_splits", "pandas.jsonl"]
    of_files = {name: Files(file=str(folder / name), splits=GivenSplits()) for name in [*names, "rows.csv"]}
    return {
        "rows.jsonl": Files(file=str(folder / "rows.jsonl"), splits=GivenSplits()),
        **of_files,
        **{
            f"hub {name}": Hub(name=str(folder / name), splits=GivenSplits())
            for name in ("hub", "saved", "saved_splits")
        },
    }


KEYWORDS = {"type": "string", "description": "x", "enum": ["x"]}
EVERY_KEY = {
    "messages": [
        {
            "role": "assistant",
            "content": "x",
            "weight": 0.5,
            "tool_call_id": "x",
            "tool_calls": [
                {
                    "type": "function",
                    "id": "x",
                    "function": {
                        "name": "x",
                        "arguments": {"always": "x", "city": "x", "days": 1, "unit": "x", "note": "x"},
                    },
                }
            ],
        }
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "x",
                "description": "x",
                "parameters": {
                    "type": "object",
                    "properties": {"always": NESTED, **dict.fromkeys(NAMES, KEYWORDS)},
                    "required": ["x"],
                },
            },
        }
    ],
}


def in_arrow(rows):
    """The rows as a table; a row before them, which is cut off, gives structs all their fields in one order."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    every = [{column: EVERY_KEY.get(column) for column in columns}]
    return pyarrow.Table.from_pylist(
        [*every, *({column: row.get(column) for column in columns} for row in rows)]
    ).slice(1)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@QUICK
@given(rows=st.lists(conversations(), min_size=1, max_size=4, unique_by=lambda row: json.dumps(row, sort_keys=True)))
def test_conversations_have_the_same_tokens_from_every_kind_of_file(tmp_path_factory, rows):
    sources = files(rows, tmp_path_factory.mktemp("rows"))
    expected = tokens(sources.pop("rows.jsonl"))
    assert len(expected) == len(rows)
    for name, source in sources.items():
        assert tokens(source) == expected, name


@st.composite
def flat_rows(draw):
    row = {"instruction": draw(WORDS), "output": draw(WORDS)}
    return {**row, **in_order(draw, {"input": WORDS, "system": WORDS})}


@QUICK
@given(rows=st.lists(flat_rows(), min_size=1, max_size=4, unique_by=lambda row: json.dumps(row, sort_keys=True)))
def test_rows_of_text_have_the_same_tokens_from_every_kind_of_file(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("rows")
    sources = files(rows, folder)
    with (folder / "rows.csv").open("w", newline="") as file:
        written = csv.DictWriter(file, ["instruction", "output", "input", "system"])
        written.writeheader()
        written.writerows(rows)
    expected = tokens(sources.pop("rows.jsonl"))
    for name, source in sources.items():
        assert tokens(source) == expected, name


def called(arguments, **filled):
    call = {"function": {"name": "look", "arguments": arguments}}
    turns = [{"role": "user", "content": "Rain?"}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    return {"messages": [{**filled, **turn} for turn in turns]}


def arguments_of(example):
    return example["messages"][1]["tool_calls"][0]["function"]["arguments"]


def test_an_argument_that_is_null_in_json_is_data(write):
    schema = {"type": "object", "properties": {"until": {"type": ["string", "null"], "default": None}}}
    tool = {"type": "function", "function": {"name": "look", "strict": None, "parameters": schema}}
    given = {"city": "Cremona", "until": None}
    (example,) = Files(file=str(write([{**called(given), "tools": [tool]}])), splits=GivenSplits())
    assert arguments_of(example) == given
    assert example["tools"] == [tool]


def test_nulls_of_turns_whose_calls_have_other_keys_fill_nothing_in(write):
    dumped = {"name": None, "tool_calls": None}
    rows = [called({"city": "Cremona", "until": None}, **dumped), called({"days": 3}, **dumped)]
    source = Files(file=str(write(rows)), splits=GivenSplits())
    assert [arguments_of(example) for example in source] == [{"city": "Cremona", "until": None}, {"days": 3}]
    assert not source.warnings


def test_nulls_of_arguments_that_an_export_filled_in_are_left_out_and_said(write):
    dumped = {"name": None, "tool_calls": None}
    rows = [called({"city": "Cremona", "days": None}, **dumped), called({"city": None, "days": 3}, **dumped)]
    source = Files(file=str(write(rows)), splits=GivenSplits())
    assert [arguments_of(example) for example in source] == [{"city": "Cremona"}, {"days": 3}]
    assert any("Nulls of arguments are left out" in warning for warning in source.warnings)


def test_names_of_classes_are_read_where_the_datasets_library_keeps_them(tmp_path):
    features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["calm", "cross"]))
    data = datasets.Dataset.from_list([{"text": "a", "label": 1}, {"text": "b", "label": 0}], features=features)
    data.to_parquet(str(tmp_path / "rows.parquet"))
    data.save_to_disk(str(tmp_path / "saved"))
    for source in (
        Files(file=str(tmp_path / "rows.parquet")),
        Files(file=str(tmp_path / "saved")),
        Hub(name=str(tmp_path / "saved")),
    ):
        assert [example["label"] for example in source] == ["cross", "calm"]


def test_nan_is_missing_in_arrow_and_refused_with_a_way_out_in_json(tmp_path, write):
    rows = [
        {"prompt": "a", "completion": "b", "system": math.nan},
        {"prompt": "c", "completion": "d", "system": math.nan},
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    examples = list(Files(file=str(tmp_path / "rows.parquet"), splits=GivenSplits()))
    assert [len(example["messages"]) for example in examples] == [2, 2]
    with pytest.raises(DataError, match="NaN is not a value of JSON") as caught:
        list(Files(file=str(write(rows))))
    assert "to_json" in caught.value.hint


def test_a_split_left_empty_in_a_csv_file_is_no_split(write):
    path = write("prompt,completion,split\na,b,\nc,d,test\n", name="rows.csv")
    assert [example["split"] for example in Files(file=str(path), splits=GivenSplits())] == ["train", "test"]


def test_turns_that_python_wrote_as_its_own_text_are_refused_with_a_way_out(write):
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    path = write(f'messages\n"{turns}"\n', name="rows.csv")
    with pytest.raises(DataError, match="`messages` is text") as caught:
        list(Files(file=str(path)))
    assert "json.dumps" in caught.value.hint


def test_a_local_data_set_is_read_again_when_its_rows_change(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.jsonl").write_text('{"prompt": "a", "completion": "one"}\n')
    times = (folder / "train.jsonl").stat()
    source = Hub(name=str(folder), splits=GivenSplits())
    before = source.state(), [example["messages"][1]["content"] for example in source]
    (folder / "train.jsonl").write_text('{"prompt": "a", "completion": "two"}\n')

    os.utime(folder / "train.jsonl", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert [example["messages"][1]["content"] for example in Hub(name=str(folder), splits=GivenSplits())] == ["two"]
    assert before[1] == ["one"]
    assert source.state() != before[0]


def test_the_rows_before_a_document_breaks_off_are_read(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('[{"prompt": "a", "completion": "b"}, {"prompt"')
    records = JsonDocument().records(path, "rows.json")
    assert next(records).row == {"prompt": "a", "completion": "b"}
    with pytest.raises(DataError, match="breaks off"):
        next(records)
