"""Names of version 0.1 that go on working, with a warning, until version 0.3; `renamed.json` lists them.

`targets` are what option files and the recipes of earlier runs name as `_target_`; `settings` are paths in a recipe,
`answers` are paths of option files;
`modules` were modules that a plugin could import from, whose names `luthier.api` has now, some under another name
(`names`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

UNTIL = "luthier 0.3"


@cache
def table() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(files(__package__).joinpath("renamed.json").read_text(encoding="utf-8"))
    return found


def current_target(name: str) -> str:
    """The dotted name that a target has now."""
    return str(table()["targets"].get(name, name))


def current_config(config: Any, at: str = "") -> tuple[Any, list[str]]:
    """A resolved configuration under the names of now, and a sentence for each old one."""
    if isinstance(config, list):
        pairs = [current_config(one, f"{at}[{index}]") for index, one in enumerate(config)]
        return [one for one, _ in pairs], [note for _, notes in pairs for note in notes]
    if not isinstance(config, dict):
        return config, []
    found: dict[Any, Any] = {}
    notes: list[str] = []
    for key, value in config.items():
        path = f"{at}.{key}".lstrip(".")
        new, inner = current_config(value, path)
        notes += inner
        if key == "_target_" and isinstance(value, str) and (new := current_target(value)) != value:
            notes.append(_note(value, new))
        name = str(table()["settings"].get(path, path)).rpartition(".")[2] if isinstance(key, str) else key
        if name != key:
            notes.append(_note(path, table()["settings"][path]))
        if found.get(name) is None:  # an old and a new name: the one that says something
            found[name] = new
    return found, notes


def current_answer(path: str) -> str:
    """The path of an option file, `question/answer`, under the name that it has now."""
    return str(table()["answers"].get(path, path))


def current_words(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Overrides of a command line under the names of now, and a sentence for each old one."""
    current, notes = [], []
    for word in words:
        key, equals, value = word.partition("=")
        name, at, package = key.lstrip("+~").partition("@")
        new_name, new_value = str(table()["settings"].get(name, name)), value
        if (answer := current_answer(f"{name}/{value}")) != f"{name}/{value}":
            new_value = answer.rpartition("/")[2]
        signs = key[: len(key) - len(key.lstrip("+~"))]
        current.append(f"{signs}{new_name}{at}{package}{equals}{new_value}")
        if current[-1] != word:
            notes.append(_note(word, current[-1]))
    return current, notes


def _note(old: str, new: str) -> str:
    return f"{old} is called {new} now; the old name goes away in {UNTIL}."
