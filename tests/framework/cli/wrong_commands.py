"""Carries out command lines that are wrong in a process that begins without torch: a line of JSON in, one out.

In: the words of a command line. Out: its exit code, what it said on stderr, what it wrote into the folder, and the
heavy modules that have been imported by then.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys

from luthier.cli.main import main

HEAVY = {"torch", "transformers", "pytorch_lightning", "datasets", "peft", "accelerate", "wandb", "pydantic"}


def carry_out(words: list[str]) -> dict[str, object]:
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(words)
        except SystemExit as end:
            code = int(end.code or 0)
    return {"code": code, "err": err.getvalue(), "written": os.listdir(), "heavy": sorted(HEAVY & set(sys.modules))}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(carry_out(json.loads(line))), flush=True)
