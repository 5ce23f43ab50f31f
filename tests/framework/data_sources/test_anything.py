"""Whatever stands in a file, the answer is an example or a DataError: never a crash, never a malformed example."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from luthier.data.dedup import content_key
from luthier.data.examples import prompt_key
from luthier.data.formats.detect import detect, unfit
from luthier.data.formats.naming import FORMATS
from luthier.data.readers.csv_table import CsvTable
from luthier.data.readers.json_document import JsonDocument
from luthier.data.readers.json_lines import JsonLines
from luthier.data.readers.plain_text import PlainText
from luthier.data.sources.files import Files
from luthier.errors import DataError

KEYS = [
    *("messages", "role", "content", "weight", "tool_calls", "function", "name", "arguments", "tools", "from", "value"),
    *("conversations", "prompt", "completion", "chosen", "rejected", "input", "instruction", "output", "text", "label"),
    *("schemaVersion", "system", "toolUse", "toolResult", "reasoningContent", "toolConfig", "toolSpec", "type", "json"),
    *("rating", "history", "preferred_output", "non_preferred_output", "function_call", "split", "inputSchema"),
    *("train", "loss", "masked", "mask", "train_detail", "refusal", "images", "liked", "kto_tag", "rejected_response"),
    *("rejected_messages", "question", "completion_mask", "mask_history", "chat_template_kwargs", "sample_weight"),
]
WORDS = ["user", "assistant", "system", "tool", "human", "gpt", "text", "function_call", "bedrock-conversation-2024"]
LEAVES = some.one_of(
    some.none(), some.booleans(), some.integers(), some.floats(), some.text(max_size=4), some.sampled_from(WORDS)
)
VALUES = some.recursive(
    LEAVES,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
BLOCKS = some.lists(some.dictionaries(some.sampled_from(KEYS), VALUES, min_size=1, max_size=1), max_size=2)
TURNS = some.lists(
    some.fixed_dictionaries(
        {"role": some.sampled_from(WORDS) | LEAVES, "content": VALUES | BLOCKS},
        optional={"tool_calls": VALUES, "weight": LEAVES, "function_call": VALUES, "from": LEAVES, "value": VALUES},
    ),
    max_size=4,
)
ROWS = some.dictionaries(some.sampled_from(KEYS), VALUES | TURNS, max_size=5) | some.fixed_dictionaries(
    {"schemaVersion": some.just("bedrock-conversation-2024"), "messages": TURNS}, optional={"toolConfig": VALUES}
)
GENTLE = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def well_formed(example):
    for key in ("messages", "chosen", "rejected"):
        for message in example.get(key, []):
            assert message["role"] in ("system", "user", "assistant", "tool")
            assert isinstance(message["content"], str)
            assert message["content"].strip() or message["role"] in ("system", "tool") or message["tool_calls"]
    for key in ("text", "label"):
        assert isinstance(example.get(key, ""), str) or key == "label"
    assert len(content_key(example)) == len(prompt_key(example)) == 16


@GENTLE
@given(row=ROWS)
def test_a_row_of_anything_is_an_example_or_a_fault(row):
    detect([row])
    for form in FORMATS.values():
        try:
            well_formed(form(row, Counter()) or {})
        except DataError as fault:
            unfit(row, form, fault)


@pytest.mark.parametrize(
    "reader", [JsonLines(), CsvTable(), JsonDocument(), PlainText("line")], ids=lambda r: type(r).__name__
)
@GENTLE
@given(content=some.binary(max_size=60) | some.lists(VALUES, max_size=3).map(lambda v: json.dumps(v).encode()))
def test_a_file_of_anything_is_rows_or_a_fault(tmp_path_factory, reader, content):
    path = tmp_path_factory.getbasetemp() / f"anything-{type(reader).__name__}"
    path.write_bytes(content)
    for on_bad_row in ("error", "skip"):
        with suppress(DataError):
            for example in Files(file=str(path), reader=reader, on_bad_row=on_bad_row):
                well_formed(example)


@GENTLE
@given(cut=some.integers(0, 400), byte=some.integers(0, 255), truncate=some.booleans())
def test_a_damaged_byte_never_changes_how_many_rows_are_accounted_for(tmp_path_factory, cut, byte, truncate):
    rows = [
        json.dumps({"prompt": f"Frage {i} – ü?", "completion": f"Antwort {i}"}, ensure_ascii=False) for i in range(8)
    ]
    content = ("\n".join(rows) + "\n").encode()
    cut %= len(content)
    damaged = content[:cut] if truncate else content[:cut] + bytes([byte]) + content[cut + 1 :]
    path = tmp_path_factory.getbasetemp() / "damaged.jsonl"
    path.write_bytes(damaged)
    source = Files(file=str(path), on_bad_row="skip")
    try:
        examples = list(source)
    except DataError:
        return
    blank = sum(not line.strip() for line in damaged.split(b"\n")[:-1])
    counted = len(examples) + source.counts.get("skipped", 0) + source.counts.get("duplicates", 0)
    assert counted + blank == damaged.count(b"\n") + (not damaged.endswith(b"\n"))
