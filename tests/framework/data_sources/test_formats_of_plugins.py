"""Formats of plugins are detected, suggested and named as luthier's own, and a faulty one costs a warning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import luthier

PARTS = '''
from luthier.api import DataError, Format


class Riddle(Format):
    """A riddle and its solution."""

    name = "riddle"
    expects = "`riddle` and `solution`"
    keys = (("riddle", "solution"),)
    synonyms = {"solution": ("answer",)}

    def __init__(self, *, shout: bool = False):
        self.shout = shout

    def recognises(self, row):
        return "`riddle` and `solution` stand side by side" if {"riddle", "solution"} <= row.keys() else ""

    def __call__(self, row, counts):
        if not self.recognises(row):
            raise DataError("It is no riddle.")
        turns = {"user": row["riddle"], "assistant": row["solution"]}
        return {"messages": [{"role": role, "content": text} for role, text in turns.items()]}


class Faulty(Riddle):
    name = "faulty"

    def recognises(self, row):
        return row["no such column"]


class Unbuilt(Riddle):
    def __init__(self):
        raise OSError("no file")
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a plugin that has formats, and rows of one of them."""
    recipes = tmp_path / "riddles" / "recipes" / "data" / "format"
    recipes.mkdir(parents=True)
    for package in (recipes.parents[1], recipes.parents[2]):
        (package / "__init__.py").touch()
    (tmp_path / "riddles" / "parts.py").write_text(PARTS)
    (recipes / "riddle.yaml").write_text("# Riddles.\n_target_: riddles.parts.Riddle\nshout: false\n")
    (recipes / "faulty.yaml").write_text("# Faulty.\n_target_: riddles.parts.Faulty\nshout: false\n")
    (recipes / "unbuilt.yaml").write_text("# Not to be built.\n_target_: riddles.parts.Unbuilt\n")
    rows = [{"riddle": f"What is {number} and 1?", "solution": str(number + 1)} for number in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_rows_of_a_plugins_format_are_detected(folder: Path):
    words = ("debug=tiny", "name=run", "data=jsonl", "data/format=auto", "data.file=rows.jsonl", "stages=[fit]")
    done = luthier("-p", "riddles", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    log = (folder / "runs" / "run" / "run.log").read_text()
    assert log.count("data/format=faulty") == 1
    assert "KeyError: 'no such column'" in log
    assert log.count("data/format=unbuilt") == 1
    manifest = json.loads((folder / "runs" / "run" / "artifact" / "manifest.json").read_text())
    assert manifest["data"]["source"]["format"] == "riddle"


def test_a_misnamed_column_is_suggested_for_a_plugins_format(folder: Path):
    (folder / "rows.jsonl").write_text('{"riddle": "What is it?", "answer": "A cello."}\n')
    words = ("debug=tiny", "data=jsonl", "data/format=auto", "data.file=rows.jsonl")
    done = luthier("-p", "riddles", "preview", *words, cwd=folder)
    assert done.returncode == 3
    assert "Nearest is riddle" in done.stderr
    assert "answer: solution" in done.stderr


def test_without_the_plugin_nobody_knows_them(folder: Path):
    words = ("debug=tiny", "data=jsonl", "data/format=auto", "data.file=rows.jsonl")
    done = luthier("preview", *words, cwd=folder)
    assert done.returncode == 3
    assert "no known format" in done.stderr
