"""A training in which nothing happens any more ends, and says who holds it up."""

from __future__ import annotations

import json

import pytest

from tests.command import luthier

SLEEPER = """
import time
import pytorch_lightning as pl
from luthier.api import hookimpl

class Sleeps(pl.Callback):
    def {hook}(self, *_):
        {how}

@hookimpl
def luthier_callbacks(config):
    return [Sleeps()]
"""


@pytest.mark.parametrize(
    ("hook", "how", "doing"),
    [
        ("on_train_batch_end", "time.sleep(1000)", "waiting for data"),
        pytest.param("on_before_backward", "while True: pass", "computing gradients", marks=pytest.mark.exhaustive),
    ],
)
def test_a_plugin_that_hangs_is_named_with_its_line_and_the_run_ends_with_5(tmp_path, hook, how, doing):
    (tmp_path / "sleeper.py").write_text(SLEEPER.format(hook=hook, how=how))
    turns = [[{"role": "user", "content": "a"}, {"role": "assistant", "content": str(n)}] for n in range(9)]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps({'messages': each})}\n" for each in turns))
    words = ["method=sft", "model=tiny", "data=jsonl", "data.file=rows.jsonl", "stages=[fit]", "trainer.precision=fp32"]
    end = luthier("--json", "-p", "sleeper", *words, "name=r", "trainer.hang_after=8", cwd=tmp_path, timeout=120)
    error = json.loads(end.stderr.splitlines()[-1])
    assert end.returncode == error["code"] == 5, end.stderr
    assert f"hangs: {doing} has taken more than 8 s, in Sleeps.{hook} (sleeper.py:8)" in error["message"]
    assert "sleeper.py" in (tmp_path / "runs/r/stacks-0.txt").read_text()
    assert '"hung"' in (tmp_path / "runs/r/events.jsonl").read_text()


def test_with_the_policy_resume_it_goes_on_from_the_last_checkpoint_once(tmp_path):
    how = """import os
        if "LUTHIER_GONE_ON" not in os.environ and args[0].global_step == 3:
            time.sleep(1000)"""
    (tmp_path / "sleeper.py").write_text(SLEEPER.format(hook="on_train_batch_end", how=how).replace("*_", "*args"))
    turns = [[{"role": "user", "content": "a"}, {"role": "assistant", "content": str(n)}] for n in range(40)]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps({'messages': each})}\n" for each in turns))
    words = [
        "method=sft", "model=tiny", "data=jsonl", "data.file=rows.jsonl", "stages=[fit]", "trainer.precision=fp32",
        "name=r", "batch.size=2", "batch.packing=false", "trainer.checkpoint_every=1", "trainer.max_steps=5",
    ]  # fmt: skip
    end = luthier(
        "-p", "sleeper", *words, "trainer.hang_after=8", "trainer.when_hung=resume", cwd=tmp_path, timeout=200
    )
    assert end.returncode == 0, end.stderr
    assert "hangs: waiting for data" in end.stderr
    assert "It goes on from the last checkpoint (trainer.when_hung)" in end.stderr
    steps = [json.loads(line)["step"] for line in (tmp_path / "runs/r/metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 5]
