"""Retrieval as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import luthier as product
from luthier.errors import RecipeError
from tests.command import luthier

WORDS = (
    "data=workshop_questions", "model=tiny", "prompt=retrieval", "prompt/documents=workshop", "prompt.tokens=1200",
    "batch.length=2048", "evaluation/task=grounded", "evaluation.task.max_new_tokens=4", "evaluation.samples=2",
    "evaluation.general_examples=0", "evaluation.examples=8", "stages=[evaluate]", "score=recall_at_5",
)  # fmt: skip


def test_a_run_measures_what_it_found_and_its_artifact_answers_from_it(tmp_path: Path) -> None:
    done = luthier(*WORDS, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    scores = {one["name"]: one["after"]["value"] for one in record["comparisons"]}
    assert scores["recall_at_5"] > 0.8
    assert "<source 1 " in record["samples"][0]["conversation"][-1]["content"]
    kept = product.load(tmp_path / "run")
    shown = kept.prompt({"messages": [{"role": "user", "content": "Until when is the shop open on Saturday?"}]})
    assert shown["found"][0] == "opening_hours.md"
    with pytest.raises(RecipeError, match="looks at each question"):
        kept.export(tmp_path / "out")
