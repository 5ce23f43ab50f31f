"""Each kind of Bedrock's files comes back as it was; what another kind cannot say is told."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from luthier.errors import DataError
from luthier.testing.format import FormatContract
from luthier.testing.verb import VerbContract
from luthier_bedrock.checks.conversation_rules import conversation_faults
from luthier_bedrock.checks.other_rules import rft_faults
from luthier_bedrock.checks.table import bases
from luthier_bedrock.files.kinds import KINDS as FILE_KINDS
from luthier_bedrock.files.kinds import kind_of
from luthier_bedrock.files.row_by_row import Located
from tests.command import luthier
from tests.plugins.bedrock.rows import CONVERSATION, IMAGE, KINDS, PLAIN, damaged, write


class TestBedrock(VerbContract):
    plugin, verb = "luthier_bedrock", "bedrock"
    arguments, exit_code = ("check", "none.jsonl", "--base", "nova-lite", "--job", "sft"), 2


class TestEvaluationRows(FormatContract):
    answer = "data/format=bedrock_evaluation"
    rows = ({"prompt": "Which wood?", "referenceResponse": "Spruce.", "category": "wood"},)


class TestInput(FormatContract):
    answer = "data/format=bedrock_input"
    rows = ({"input": "Spruce is light."},)


class TestRft(FormatContract):
    answer = "data/format=bedrock_rft"
    rows = ({"messages": [{"role": "user", "content": "1 + 1?"}], "reference_answer": "2", "level": 1},)


def convert(place: Path, file: str, kind: str, output: str, *more: str) -> Any:
    return luthier("bedrock", "convert", file, "--to", kind, "--output", output, *more, cwd=place)


def read(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_comes_back_as_it_was(kind: str, tmp_path: Path) -> None:
    write(tmp_path / "given.jsonl", KINDS[kind])
    there = convert(tmp_path, "given.jsonl", "messages", "rows.jsonl")
    assert there.returncode == 0, there.stderr
    back = convert(tmp_path, "rows.jsonl", kind, "again.jsonl")
    assert (back.returncode, back.stderr) == (0, "")
    assert read(tmp_path / "again.jsonl") == KINDS[kind]


def test_media_reasoning_and_results_are_turns_that_others_read(tmp_path: Path) -> None:
    write(tmp_path / "given.jsonl", [CONVERSATION])
    convert(tmp_path, "given.jsonl", "messages", "rows.jsonl")
    (row,) = read(tmp_path / "rows.jsonl")
    system, asked, called, result, *_, done = row["messages"]
    assert system == {"role": "system", "content": "Be brief.Be kind."}
    assert asked["content"][1] == {"type": "image", "image": IMAGE}
    assert called["reasoning_content"] == "I look."
    assert called["tool_calls"][0]["function"] == {"name": "look", "arguments": {"at": "top"}}
    assert result == {"role": "tool", "tool_call_id": "t1", "content": '{"wood": "spruce"}'}
    assert done["content"] == "Spruce."


def test_a_changed_row_is_written_anew_and_not_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "given.jsonl", [CONVERSATION])
    convert(tmp_path, "given.jsonl", "messages", "rows.jsonl")
    (row,) = read(tmp_path / "rows.jsonl")
    row["messages"][-1]["content"] = "Cedar."
    write(tmp_path / "rows.jsonl", [row])
    convert(tmp_path, "rows.jsonl", "conversation", "again.jsonl")
    (again,) = read(tmp_path / "again.jsonl")
    assert again["messages"][-1]["content"] == [{"text": "Cedar."}]
    assert again["messages"][0] == CONVERSATION["messages"][0]


def test_what_a_kind_cannot_say_is_told_with_its_place(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0.5}]
    write(tmp_path / "rows.jsonl", [PLAIN[0], {"messages": turns, "topic": "wood"}])
    done = convert(tmp_path, "rows.jsonl", "conversation", "out.jsonl", "--from", "messages")
    assert done.returncode == 0
    assert "conversation cannot say messages[].weight; it is left out of 1 row, first rows.jsonl:2" in done.stderr
    assert "topic" in done.stderr


def test_answers_become_references_and_prompts_for_a_teacher(tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", PLAIN)
    convert(tmp_path, "rows.jsonl", "rft", "rft.jsonl")
    convert(tmp_path, "rows.jsonl", "distillation", "prompts.jsonl")
    assert read(tmp_path / "rft.jsonl")[0] == {"messages": [PLAIN[0]["messages"][0]], "reference_answer": "Spruce."}
    asked = read(tmp_path / "prompts.jsonl")[0]["messages"]
    assert asked == [{"role": "user", "content": [{"text": "Which wood?"}]}]


def test_any_data_of_a_recipe_is_written(tmp_path: Path) -> None:
    words = ("bedrock", "convert", "data=demo", "data.limit=12", "--split", "train", "--to", "conversation")
    done = luthier(*words, "--output", "out.jsonl", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = read(tmp_path / "out.jsonl")
    assert json.loads(done.stdout)["lines"] == len(rows) > 0
    assert all(row["schemaVersion"] == "bedrock-conversation-2024" for row in rows)


def test_answers_of_a_model_become_invocation_logs(tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", PLAIN)
    assert convert(tmp_path, "rows.jsonl", "log", "log.jsonl").returncode == 3  # nobody says which model
    done = convert(tmp_path, "rows.jsonl", "log", "log.jsonl", "--model-id", "amazon.nova-pro-v1:0")
    assert done.returncode == 0, done.stderr
    record = read(tmp_path / "log.jsonl")[0]
    assert (record["schemaType"], record["modelId"]) == ("ModelInvocationLog", "amazon.nova-pro-v1:0")
    assert record["output"]["outputBodyJson"]["output"]["message"]["content"] == [{"text": "Spruce."}]


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (b"", 3, "The file has no line."),
        (b"\n \n", 3, "The file has no line."),
        (b'{"schemaVersion": "bedrock-conversation-2024", "messages": [{"role": "user"}]}\n', 3, "bad.jsonl:1"),
        (b'{"messages": [], "messages": []}\n', 3, "stands twice"),
        (b'{"who": 1}\n', 3, "no kind of Bedrock's files"),
        (b'{"messages": [{"role": "user", "content": 3}]}\n', 3, "neither a text nor a list of parts"),
        (b'{"messages": [{"role": "judge", "content": "a"}]}\n', 3, "the role 'judge'"),
    ],
)
def test_a_bad_file_is_refused_with_its_place_and_nothing_is_written(
    content: bytes, code: int, said: str, tmp_path: Path
) -> None:
    (tmp_path / "bad.jsonl").write_bytes(content)
    done = convert(tmp_path, "bad.jsonl", "conversation", "out.jsonl")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert not (tmp_path / "out.jsonl").exists()
    assert list(tmp_path.glob(".tmp-*")) == []


def test_a_byte_order_mark_carriage_returns_and_long_lines_are_read(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "a" * 300_000}, {"role": "assistant", "content": "b"}]}
    (tmp_path / "rows.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps(row).encode() + b"\r\n")
    assert convert(tmp_path, "rows.jsonl", "conversation", "out.jsonl").returncode == 0
    assert len(read(tmp_path / "out.jsonl")[0]["messages"][0]["content"][0]["text"]) == 300_000


def test_kinds_that_are_not_known_are_named(tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", PLAIN)
    done = convert(tmp_path, "rows.jsonl", "conversatoin", "out.jsonl")
    assert done.returncode == 2
    assert "conversation" in done.stderr
    assert convert(tmp_path, "none.jsonl", "conversation", "out.jsonl").returncode == 2
    nowhere = convert(tmp_path, "rows.jsonl", "conversation", "rows.jsonl/out.jsonl")
    assert (nowhere.returncode, "cannot be written" in nowhere.stderr) == (5, True)


@pytest.mark.parametrize(
    ("rows", "name", "method"),
    [(KINDS["rft"], "bedrock_rft", "sft"), (KINDS["evaluation"], "bedrock_evaluation", "sft"),
     (KINDS["input"], "bedrock_input", "cpt"), (KINDS["log"], "bedrock_log", "sft")],
)  # fmt: skip
def test_the_rows_are_detected_as_data(rows: list[Any], name: str, method: str, tmp_path: Path) -> None:
    many = [json.loads(json.dumps(row).replace("ood", f"ood {number}")) for number in range(12) for row in rows]
    write(tmp_path / "rows.jsonl", many)
    done = luthier(
        "plan", f"method={method}", "data=jsonl", "data.file=rows.jsonl", "evaluation.examples=1", cwd=tmp_path
    )
    assert f"It is {name}, because" in " ".join(done.stdout.split()), done.stdout + done.stderr


def test_damaged_rows_are_refused_in_a_sentence_or_come_back_whole() -> None:
    chance = random.Random(0)
    tried = 0
    for _ in range(3000):
        row = damaged(chance)
        for base in ("nova-lite", "nova-2-lite"):
            conversation_faults(row, bases()[base], "sft")
        rft_faults(row)
        try:
            kind = kind_of(row, "here")
            rows = kind.rows_of(row)
        except DataError:
            continue
        tried += 1
        assert [one.line for one in kind.lines_of([Located(one, "here") for one in rows])] == [row]
        for other in FILE_KINDS.values():
            with contextlib.suppress(DataError):
                list(other.lines_of([Located({**one, "bedrock_row": None}, "here") for one in rows]))
    assert tried > 500
