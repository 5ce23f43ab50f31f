"""Names of version 0.1 that go on working, with a warning, until version 0.3; `renamed.json` lists them.

`targets` are what option files and the recipes of earlier runs name as `_target_`, and `answers` are paths of option
files. `settings` were renamed parameters of a target; `entries` are the keys under which a recipe's mapping held a
target, such as the name of a metric. `modules` were modules that a plugin could import from, whose names `luthier.api`
has now, some under another name (`names`, with dots where it is no name of `luthier.api`). `gone` are names that have
no equal, and what to use instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

UNTIL = "luthier 0.3"


@cache
def table() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return found


def current_target(name: str) -> str:
    """The dotted name that a target has now."""
    return str(table()["targets"].get(name, name))


def current_answer(path: str) -> str:
    """The path of an option file, `question/answer`, under the name that it has now."""
    return str(table()["answers"].get(path, path))


def renamed_keys() -> set[str]:
    """The old names of settings and entries, each of which a recipe may still use for something of its own."""
    return {old for kind in ("settings", "entries") for names in table()[kind].values() for old in names}


def note(old: str, new: str) -> str:
    return f"{old} is called {new} now; the old name goes away in {UNTIL}."
