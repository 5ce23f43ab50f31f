"""Data of pairs, and runs on them as a user starts them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.command import luthier as command

TOPICS = {
    "bow": "hair rosin frog stick tip", "neck": "scroll pegs nut board glue", "case": "lock velvet handle zip strap",
    "rent": "month fee deposit child return", "string": "gut steel core winding pitch",
}  # fmt: skip


def pairs(count: int = 60, *, negatives: bool = False) -> list[dict[str, Any]]:
    """Questions with the text of their topic, and perhaps that of the next topic as what does not fit."""
    topics, made = list(TOPICS), []
    for number in range(count):
        topic, other = topics[number % 5], topics[(number + 1 + number // 5 % 4) % 5]
        row: dict[str, Any] = {
            "query": f"About the {topic}, {number}?",
            "document": f"There are {TOPICS[topic]}.",
        }
        if negatives:
            row["negatives"] = [f"There are {TOPICS[other]}.", f"Nothing, {number}."][: 1 + number % 2]
        made.append(row)
    return made


def graded(count: int = 90) -> list[dict[str, Any]]:
    """Pairs that are of one topic or of two, with a score from 0 to 5."""
    topics = list(TOPICS)
    return [
        {
            "sentence1": f"{number}, with the {topics[number % 5]}",
            "sentence2": f"There are {TOPICS[topics[(number + number // 5 % 3) % 5]]}.",
            "score": [5.0, 2.0, 0.5][number // 5 % 3],
        }
        for number in range(count)
    ]


LEARN = ("trainer.epochs=6", "optimizer.lr=0.003", "batch.size=4", "batch.micro=2")


def run(
    tmp_path: Path,
    data: list[dict[str, Any]],
    *words: str,
    folder: str = "run",
    fails: bool = False,
    **environment: str,
) -> str:
    """What a run of the command line says, on standard error where it fails."""
    file = tmp_path / "data.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in data), encoding="utf-8")
    done = command(
        "model=tiny_encoder", "data=jsonl", f"data.file={file}", "data.splits.test=0.2",
        "trainer.precision=fp32", "batch.length=128", *words, f"hydra.run.dir={tmp_path / folder}", **environment,
    )  # fmt: skip
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


def scores(tmp_path: Path, folder: str = "run") -> dict[str, tuple[float, float]]:
    """The scores of a run by name, before and after."""
    record = json.loads((tmp_path / folder / "record.json").read_text())
    return {one["name"]: (one["before"]["value"], one["after"]["value"]) for one in record["comparisons"]}
