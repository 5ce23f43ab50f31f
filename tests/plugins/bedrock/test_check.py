"""A file is held against the published limits: every bad line is named, and a good file is let through."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luthier_bedrock.checks.table import JOBS, bases, table
from tests.command import luthier
from tests.plugins.bedrock.rows import CONVERSATION, IMAGE, KINDS, PROMPT, SIMPLE, write

LITE = "nova-lite"


def check(place: Path, rows: list[Any] | bytes, base: str = LITE, job: str = "sft", *more: str) -> Any:
    file = place / "train.jsonl"
    if isinstance(rows, bytes):
        file.write_bytes(rows)
    else:
        write(file, rows)
    done = luthier("bedrock", "check", "train.jsonl", "--base", base, "--job", job, "--json", *more, cwd=place)
    return done, json.loads(done.stdout) if done.returncode in (0, 3) and done.stdout else {}


def spoilt(change: Callable[[dict[str, Any]], Any], row: dict[str, Any] = SIMPLE) -> dict[str, Any]:
    made = copy.deepcopy(row)
    change(made)
    return made


def blocks(row: dict[str, Any], turn: int = 0) -> list[Any]:
    content: list[Any] = row["messages"][turn]["content"]
    return content


WITH_IMAGE = spoilt(lambda row: blocks(row).append({"image": IMAGE}))
WITH_TOOLS = spoilt(lambda row: blocks(row, 1).pop(0), CONVERSATION)  # without its reasoning
VIDEO = {"format": "mp4", "source": {"s3Location": {"uri": "s3://violins/one.mp4"}}}

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no messages": ({"schemaVersion": "bedrock-conversation-2024"}, "no `messages`"),
    "an unknown field": ({**SIMPLE, "topic": "wood"}, "`topic` is no field"),
    "a string for blocks": (spoilt(lambda row: row["messages"][0].update(content="a")), "Invalid type"),
    "an empty system": ({**SIMPLE, "system": [{"text": ""}]}, "Invalid length"),
    "a system that is a text": ({**SIMPLE, "system": "Be brief."}, "Invalid type"),
    "two users": (spoilt(lambda row: row["messages"].insert(0, row["messages"][0])), "of the assistant is expected"),
    "begins with the assistant": (spoilt(lambda row: row["messages"].pop(0)), "one of the user is expected"),
    "ends with the user": (PROMPT, "the last turn is the user's"),
    "no turn": ({**SIMPLE, "messages": []}, "`messages` is empty"),
    "empty text": (spoilt(lambda row: blocks(row)[0].update(text=" ")), "is empty"),
    "no blocks": (spoilt(lambda row: blocks(row).clear()), "has no content"),
    "a reserved word": (spoilt(lambda row: blocks(row)[0].update(text="the user: me")), "reserved word 'User:'"),
    "another role": (spoilt(lambda row: row["messages"][0].update(role="tool")), "the service takes user, assistant"),
    "eleven images": (spoilt(lambda row: blocks(row).extend([{"image": IMAGE}] * 11)), "at most 10"),
    "a bitmap": (spoilt(lambda row: blocks(row)[1]["image"].update(format="bmp"), WITH_IMAGE), "png, jpeg, gif, webp"),
    "no uri of S3": (spoilt(lambda row: blocks(row)[1]["image"]["source"]["s3Location"].update(uri="http://a/b"),
                            WITH_IMAGE), "s3://"),
    "bytes": (spoilt(lambda row: blocks(row)[1]["image"].update(source={"bytes": "aGk="}), WITH_IMAGE), "s3Location"),
    "an image of the assistant": (spoilt(lambda row: blocks(row, 1).append({"image": IMAGE})), "turn of the assistant"),
    "two videos": (spoilt(lambda row: blocks(row).extend([{"video": VIDEO}] * 2)), "at most 1"),
    "a video beside an image": (spoilt(lambda row: blocks(row).append({"video": VIDEO}), WITH_IMAGE), "beside images"),
    "reasoning": (CONVERSATION, "reasoning, on which nova-lite is not trained"),
    "a tool without definition": (spoilt(lambda row: row.pop("toolConfig"), WITH_TOOLS), "does not define"),
    "a result without use": (spoilt(lambda row: blocks(row, 2)[0]["toolResult"].update(toolUseId="x"), WITH_TOOLS),
                             "no turn before it uses"),
    "a use without result": (spoilt(lambda row: blocks(row, 2).pop(0), WITH_TOOLS), "has no result"),
    "a tool's name": (spoilt(lambda row: row["toolConfig"]["tools"][0]["toolSpec"].update(name="a b"), WITH_TOOLS),
                      "not of the form"),
    "a tool twice": (spoilt(lambda row: row["toolConfig"]["tools"].append(row["toolConfig"]["tools"][0]), WITH_TOOLS),
                     "twice"),
    "no description": (spoilt(lambda row: row["toolConfig"]["tools"][0]["toolSpec"].pop("description"), WITH_TOOLS),
                       "no description"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_one_bad_line_among_many_is_the_only_one_named(name: str, tmp_path: Path) -> None:
    row, said = BAD[name]
    done, record = check(tmp_path, [*[SIMPLE] * 9, row, SIMPLE])
    assert done.returncode == 3
    assert {fault["where"] for fault in record["faults"]} == {"train.jsonl:10"}
    assert any(said in fault["reason"] for fault in record["faults"]), record["faults"]


@pytest.mark.parametrize("row", [SIMPLE, WITH_IMAGE, WITH_TOOLS], ids=["text", "image", "tools"])
def test_a_good_file_is_let_through(row: dict[str, Any], tmp_path: Path) -> None:
    done, record = check(tmp_path, [row] * 8)
    assert (done.returncode, record["faults"]) == (0, []), done.stdout


@pytest.mark.parametrize(
    ("base", "job"), [(base, job) for base in bases() for job in JOBS if job in bases()[base].jobs]
)
def test_the_numbers_of_records_are_exact_at_their_borders(base: str, job: str, tmp_path: Path) -> None:
    limits = bases()[base].jobs[job]
    cpt = {"text": "a"} if base.startswith("nova") else {"input": "a"}
    row = {"sft": SIMPLE, "rft": KINDS["rft"][0], "cpt": cpt, "distillation": PROMPT}[job]
    if limits.least is not None:
        assert check(tmp_path, [row] * limits.least, base, job)[0].returncode == 0
        fewer, record = check(tmp_path, [row] * (limits.least - 1), base, job)
        assert fewer.returncode == 3
        assert f"fewer than {limits.least:,} (https://" in record["faults"][0]["reason"]
    else:
        assert check(tmp_path, [row], base, job)[0].returncode == 0
        assert check(tmp_path, b"", base, job)[0].returncode == 3
    if limits.most is not None and base in ("nova-lite", "nova-2-lite"):
        from luthier_bedrock.checks.dataset import Verdict, _check_whole

        for count, faults in ((limits.most, 0), (limits.most + 1, 1)):
            verdict = Verdict(bases()[base], job, limits)
            verdict.records["train.jsonl"] = count
            _check_whole("train.jsonl", None, verdict)
            assert len(verdict.faults) == faults


def test_what_cannot_be_read_is_named_with_its_line(tmp_path: Path) -> None:
    good = json.dumps(SIMPLE).encode()
    twice = b'{"messages": [], "messages": []}'
    content = b"\r\n".join([*[good] * 8, b"", good[:-10], b"[1]", twice, b'{"a": NaN}', b"\xff", b""])
    done, record = check(tmp_path, content)
    assert done.returncode == 3
    lines = [int(fault["where"].split(":")[1]) for fault in record["faults"]]
    assert lines == [10, 11, 12, 13, 14]
    assert record["records"] == {"train.jsonl": 13}
    marked, record = check(tmp_path, b"\xef\xbb\xbf" + good * 1 + b"\n" + (good + b"\n") * 7)
    assert marked.returncode == 3
    assert [fault["where"] for fault in record["faults"]] == ["train.jsonl:1"]


def test_what_no_single_line_shows_is_found(tmp_path: Path) -> None:
    video = spoilt(lambda row: blocks(row).append({"video": VIDEO}))
    elsewhere = spoilt(lambda row: blocks(row)[1]["image"]["source"]["s3Location"].update(uri="s3://cellos/1.png"),
                       WITH_IMAGE)  # fmt: skip
    _, record = check(tmp_path, [*[SIMPLE] * 8, WITH_IMAGE, video, elsewhere])
    reasons = [fault["reason"] for fault in record["faults"]]
    assert "images or videos, not both" in reasons[0]
    assert "violins, cellos" in reasons[1]
    _, record = check(tmp_path, [*[SIMPLE] * 8, WITH_IMAGE], "nova-micro")
    assert "nova-micro is trained on text alone" in record["faults"][0]["reason"]


def test_a_file_for_validation_counts_and_nova_2_takes_none(tmp_path: Path) -> None:
    write(tmp_path / "held.jsonl", [PROMPT])
    done, record = check(tmp_path, [SIMPLE] * 8, LITE, "sft", "--validation", "held.jsonl")
    assert done.returncode == 3
    assert record["faults"][0]["where"] == "held.jsonl:1"
    second, record = check(tmp_path, [SIMPLE] * 200, "nova-2-lite", "sft", "--validation", "held.jsonl")
    assert any("takes no file for validation" in fault["reason"] for fault in record["faults"])
    assert second.returncode == 3


def test_reasoning_is_taken_by_nova_2_and_tools_are_a_note(tmp_path: Path) -> None:
    done, record = check(tmp_path, [CONVERSATION] * 200, "nova-2-lite")
    assert (done.returncode, record["faults"]) == (0, [])
    assert any("tools (train.jsonl:1) might" in note for note in record["notes"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row.update(messages=[]), "`messages` is missing"),
        (lambda row: row["messages"].append({"role": "system", "content": "a"}), "not the first one"),
        (lambda row: row["messages"].pop(), "no turn is the user's"),
        (lambda row: row["messages"][1].update(content=[{"text": "a"}]), "is no text"),
        (lambda row: row.update(reference_answer=""), "`reference_answer`"),
        (lambda row: row.update(reference_answer={}), "`reference_answer`"),
        (lambda row: row.update(id=3), "`id`"),
        (lambda row: row.update(tools=[{"type": "function", "function": {"name": "a"}}]), "description"),
    ],
)
def test_rows_of_rft_are_held_against_theirs(change: Any, said: str, tmp_path: Path) -> None:
    row = KINDS["rft"][0]
    done, record = check(tmp_path, [*[row] * 100, spoilt(change, row)], "nova-2-lite", "rft")
    assert done.returncode == 3
    assert all(fault["where"] == "train.jsonl:101" for fault in record["faults"])
    assert said in record["faults"][0]["reason"]


def test_invocation_logs_are_data_of_a_distillation(tmp_path: Path) -> None:
    log = KINDS["log"][0]
    assert check(tmp_path, [log] * 3, LITE, "distillation")[0].returncode == 0
    _, record = check(tmp_path, [log, {**log, "output": {}}], LITE, "distillation")
    assert [fault["where"] for fault in record["faults"]] == ["train.jsonl:2"]
    _, record = check(tmp_path, [{**PROMPT, "schemaVersion": "1"}], LITE, "distillation")
    assert "bedrock-conversation-2024" in record["faults"][0]["reason"]


@pytest.mark.parametrize(
    ("base", "job", "said"),
    [
        ("nova-lit", "sft", "Did you mean nova-lite"),
        (LITE, "rft", "nova-2-lite"),
        ("titan-text-lite", "sft", "no sft job"),
    ],
)
def test_a_base_or_job_that_the_table_lacks_is_refused(base: str, job: str, said: str, tmp_path: Path) -> None:
    done, _ = check(tmp_path, [SIMPLE], base, job)
    assert done.returncode == 2
    assert said in done.stderr


def test_the_name_of_the_file_is_looked_at(tmp_path: Path) -> None:
    write(tmp_path / "my rows.jsonl", [SIMPLE] * 8)
    done = luthier("bedrock", "check", "my rows.jsonl", "--base", LITE, "--job", "sft", cwd=tmp_path)
    assert done.returncode == 3
    assert "my rows.jsonl: the name of the file must" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("NO GO  sft of nova-lite")


def test_each_limit_has_a_source_and_the_table_a_date() -> None:
    sources = table()["sources"]
    assert str(table()["read"]).count("-") == 2
    assert all(address.startswith("https://") for address in sources.values())
    for base in bases().values():
        assert base.jobs
        assert {limits.source for limits in base.jobs.values()} <= sources.keys()
    for of in (*table()["parameters"].values(), {name: table()[name] for name in ("reserved", "images", "videos")}):
        assert {limit["source"] for limit in of.values()} <= sources.keys()
    assert set(table()["not_found"]) == {*JOBS, "parameters"}


def test_without_botocore_the_way_out_is_told(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", [SIMPLE] * 8)
    code = (
        "import sys; sys.modules['botocore'] = None\n"
        "from luthier.cli.main import main\n"
        "main(['bedrock', 'check', 'train.jsonl', '--base', 'nova-lite', '--job', 'sft'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "needs the package botocore, which is not installed" in done.stderr
    assert "pip install 'luthier[bedrock]'" in done.stderr
