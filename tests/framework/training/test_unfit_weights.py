"""Weights with which no loss is finite are no checkpoint, no artifact and no success; what the error advises helps."""

from __future__ import annotations

import json
import re

import pytest

from tests.command import luthier

ROWS = [
    {"messages": [{"role": "user", "content": f"What is {n}?"}, {"role": "assistant", "content": f"It is {n}."}]}
    for n in range(12)
]


@pytest.fixture
def train(tmp_path):
    """A training of `steps` steps on a few conversations, without measuring."""
    (tmp_path / "chats.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))

    def run(*words, steps):
        fixed = ["method=sft", "adaptation=full", "model=tiny", "data=jsonl", "data.file=chats.jsonl", "batch.size=2"]
        rest = ["stages=[fit]", "name=r", "trainer.precision=fp32", f"trainer.max_steps={steps}", "trainer.epochs=9"]
        return luthier("--json", *fixed, *rest, *words, cwd=tmp_path)

    return run


def error_of(end):
    return json.loads(end.stderr.splitlines()[-1])


def advised(error):
    found = dict(re.findall(r"\b(optimizer\.lr|resume)=([\w./+-]*\w)", error["hint"]))
    assert "optimizer.lr" in found
    return [f"{name}={value}" for name, value in found.items()]


@pytest.mark.parametrize(
    ("rate", "what"), [("1e38", "weights that are not finite"), ("1e15", "the loss is not finite")]
)
def test_the_last_update_is_checked_too_and_the_advice_is_followed_to_the_end(train, tmp_path, rate, what):
    end = train(f"optimizer.lr={rate}", steps=1)
    error = error_of(end)
    assert end.returncode == error["code"] == 4
    assert what in error["message"]
    assert "step 1" in error["message"]
    assert not list(tmp_path.glob("runs/r/checkpoints/step-*"))
    assert not (tmp_path / "runs/r/artifact").exists()
    assert train(*advised(error), steps=1).returncode == 0


def test_the_checkpoint_before_it_is_the_last_good_one_and_is_gone_on_from(train, tmp_path):
    assert train(steps=2).returncode == 0
    end = train("optimizer.lr=1e38", "resume=auto", "trainer.checkpoint_every=1", steps=4)
    error = error_of(end)
    assert end.returncode == 4
    assert error["resumable"]
    assert "step 3" in error["message"]
    assert [path.name for path in tmp_path.glob("runs/r/checkpoints/step-*")] == ["step-00000002"]
    assert "resume=auto" in advised(error)
    assert train(*advised(error), steps=4).returncode == 0
