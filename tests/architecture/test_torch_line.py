"""Nothing above the torch line imports what takes seconds: the command line answers at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.architecture.sources import HEAVY

PROGRAM = """
import argparse, json, pathlib, sys, time
source = pathlib.Path(argparse.__file__).read_text()
for _ in range(5):
    compile(source, "argparse", "exec")
measure, started = time.process_time(), time.process_time()
from luthier.cli.main import main
try:
    main({argv!r})
except SystemExit as end:
    code = end.code or 0
heavy = sorted(set(json.loads({heavy!r})) & set(sys.modules))
print("\\n" + json.dumps({{"code": code, "heavy": heavy, "measures": (time.process_time() - started) / measure}}))
"""
COMMANDS = {
    "help": (["--help"], 0),
    "version": (["--version"], 0),
    "a composition": (["--cfg", "job"], 0),
    "a shipped recipe": (["recipe=quickstart", "--cfg", "job", "--resolve"], 0),
    "a composition as JSON": (["recipe=demo", "--cfg", "job", "--json"], 0),
    "Hydra's section": (["--cfg", "hydra"], 0),
    "Hydra's search path": (["--info", "searchpath"], 0),
    "a mistyped verb": (["exlpain"], 2),
    "a mistyped question": (["modl=tiny"], 2),
    "a mistyped answer": (["model=tniy"], 2),
    "a mistyped setting": (["trainer.clpi=1"], 2),
    "a mistyped value": (["trainer.precision=fp8"], 2),
    "a mistyped flag": (["--jsno"], 2),
    "hostile code": (["tracking._target_=os.system"], 6),
    "recipes": (["recipes"], 0),
    "answers": (["recipes", "model"], 0),
    "plugins": (["plugins"], 0),
    "explaining an answer": (["explain", "adaptation=lora"], 0),
    "explaining a setting's part": (["explain", "batch"], 0),
    "explaining the exit codes": (["explain", "exit-codes"], 0),
    "the schema": (["schema"], 0),
    "a plan's composition": (["plan", "trainer.clpi=1"], 2),
    "a preview's composition": (["preview", "trainer.clpi=1"], 2),
    "a mistyped step of a pipeline": (["pipeline=cpt-then-sft", "sftt.seed=1"], 2),
    "a comparison of one": (["compare", "recipe=demo"], 2),
    "a comparison's composition": (["compare", "recipe=demo,quickstart", "trainer.clpi=1"], 2),
    "advice": (["advise", "labels=100"], 0),
    "a verb's help": (["chat", "--help"], 0),
    "a completion script": (["completion", "bash"], 0),
    "a completion": (["-sc", "query=bash"], 0),
    "a starter recipe": (["init", "mine.jsonl"], 0),
    "a new plugin": (["new-plugin", "acme", "--kind", "reward"], 0),
    "a plugin that is not installed": (["plugin-check", "acme"], 2),
}
MEASURES = 30  # of what compiling argparse five times takes, so that a slow machine counts as one; --help takes 1,
# a composition or the schema 12; importing torch alone takes 15, Lightning 28 more


@pytest.mark.parametrize("what", COMMANDS)
def test_the_command_line_answers_without_torch(what, tmp_path):
    argv, code = COMMANDS[what]
    row = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}
    (tmp_path / "mine.jsonl").write_text(json.dumps(row) + "\n")
    environ = {**os.environ, "COMP_LINE": "luthier model=tiny trainer.", "COMP_POINT": ""}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    program = PROGRAM.format(argv=argv, heavy=json.dumps(sorted(HEAVY)))
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120
    )
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["code"] == code, ended.stderr
    assert found["heavy"] == []
    assert found["measures"] < MEASURES


def test_importing_luthier_imports_nothing_heavy():
    program = f"import json, sys, luthier; print(json.dumps(sorted(set({HEAVY!r}) & set(sys.modules))))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert json.loads(ended.stdout) == []
