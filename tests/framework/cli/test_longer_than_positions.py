"""What is held out and longer than the positions of the network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.command import luthier

LONG = 3000


def rows(place: Path, row: Callable[[int, str], object]) -> None:
    lines = (json.dumps(row(number, " so" * (LONG if number == 5 else 9))) for number in range(30))
    (place / "rows.jsonl").write_text("\n".join(lines))


def run(place: Path, *words: str) -> tuple[int, str]:
    done = luthier(
        *words, "data=jsonl", "data.file=rows.jsonl", "data.splits.test=0.9", "trainer.max_steps=1", "batch.length=64",
        "optimizer.lr=0.01", "hydra.run.dir=run", cwd=place,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_a_text_that_is_judged_as_a_whole_is_cut_and_the_report_says_so(tmp_path: Path) -> None:
    rows(tmp_path, lambda number, text: {"text": f"{number}{text}", "label": "ab"[number % 2]})
    code, said = run(tmp_path, "method=classify", "model=tiny_encoder", "evaluation/task=labels")
    assert code == 0, said
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert any(line.startswith("1 of ") and "were cut to 1024 tokens" in line for line in record["warnings"])


def test_a_conversation_that_the_network_cannot_read_is_named(tmp_path: Path) -> None:
    turns = ("user", "assistant")
    rows(tmp_path, lambda number, text: {"messages": [{"role": role, "content": f"{number}{text}"} for role in turns]})
    code, said = run(tmp_path, "model=tiny", "model.architecture=gpt2", "~model.config.intermediate_size")
    assert code == 3, said
    assert "rows.jsonl:6: 1 of 27 examples are longer than the 2048 tokens that the network has positions for" in said
