"""Whole trainings on rewards, in this process: they learn, go on bit-equal, and say what happened."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from luthier.testing.twin import twin

TINY = (
    "method=grpo", "method/reward=length", "method.reward.most=3", "method.reward.slack=9", "stages=[fit]",
    "batch.packing=false", "batch.size=2", "method.group=3", "method.rollout.max_new_tokens=10",
    "method.samples_every=1", "optimizer.lr=0.01", "trainer.checkpoint_every=1", "trainer.keep=0", "trainer.epochs=4",
)  # fmt: skip


def run(folder: Path, *words: str) -> Any:
    made = twin(folder, *TINY, *words)
    made.carry_out()
    return made


def weights(folder: Path) -> dict[str, str]:
    files = (folder / "artifact").rglob("*.safetensors")
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def timeless(record: dict[str, Any]) -> dict[str, Any]:
    changing = {"seconds", "tokens_per_second", "memory_bytes", "rollout_seconds"}
    return {name: value for name, value in record.items() if name not in changing}


SETTINGS = {
    "one step on each answer": ("trainer.max_steps=5",),
    "several, with a reference": ("trainer.max_steps=6", "method.iterations=3", "method/kl=k3", "adaptation=lora"),
    "a value head": ("trainer.max_steps=5", "method.iterations=2", "method/advantage=gae", "method/kl=k1"),
}


@pytest.mark.parametrize("words", SETTINGS.values(), ids=SETTINGS)
def test_a_run_goes_on_bit_equal_from_any_step_answers_included(tmp_path: Path, words: tuple[str, ...]) -> None:
    run(tmp_path / "whole", *words)
    for step in (1, 4):
        cut = tmp_path / f"cut-{step}"
        shutil.copytree(tmp_path / "whole", cut)
        for later in (cut / "checkpoints").iterdir():
            if int(later.name.rpartition("-")[2]) > step:
                shutil.rmtree(later)
        shutil.rmtree(cut / "artifact")
        run(cut, *words, "resume=auto")
        assert weights(cut) == weights(tmp_path / "whole")
        for name in ("metrics.jsonl", "rollouts.jsonl"):
            again, once = (list(map(timeless, lines(place / name))) for place in (cut, tmp_path / "whole"))
            assert again == once
