"""A plugin that ends the process has failed, whatever exit code it had in mind."""

from __future__ import annotations

import json

import pytest

from tests.command import luthier as command

CALLBACK = """
import pytorch_lightning as pl
from luthier.api import hookimpl

class Leaves(pl.Callback):
    def on_train_batch_end(self, *_):
        raise {what}

@hookimpl
def luthier_callbacks(config):
    return [Leaves()]
"""
AROUND = """
from luthier.api import hookimpl

@hookimpl(wrapper=True)
def luthier_run(run):
    yield
    raise {what}
"""


@pytest.mark.parametrize(
    ("code", "what", "line"),
    [(CALLBACK, "SystemExit(0)", 7), (CALLBACK, "KeyboardInterrupt()", 7), (AROUND, "SystemExit(0)", 7)],
)
def test_ending_the_process_in_a_hook_is_a_failure_of_the_plugin(tmp_path, code, what, line):
    (tmp_path / "leaves.py").write_text(code.format(what=what))
    turns = [[{"role": "user", "content": "a"}, {"role": "assistant", "content": str(n)}] for n in range(9)]
    rows = [{"messages": each} for each in turns]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    words = ["method=sft", "model=tiny", "data=jsonl", "data.file=rows.jsonl", "stages=[fit]", "trainer.precision=fp32"]
    end = command("--json", "-p", "leaves", *words, cwd=tmp_path)
    error = json.loads(end.stderr.splitlines()[-1])
    assert end.returncode == error["code"] == 7, end.stderr
    assert what in error["message"]
    assert f"leaves.py:{line}" in error["message"]
