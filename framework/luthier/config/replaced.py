"""Nested questions of a recipe or of `debug` below an answer that the command line replaced by one without them.

A recipe that reads its JSONL file with `override /data/reader: jsonl` shall compose with `data=hub` and with
`debug=tiny` too, and `debug=tiny` with `data=mixture`. Hydra would refuse the override, since nothing asks
`data/reader` any more; so it is left out here, and the note of decision 5 says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from luthier.config.option_file import Option

if TYPE_CHECKING:
    from hydra.core.default_element import InputDefault

    from luthier.config.catalog import Catalog
    from luthier.config.command_line import Word


def replaced_answers(words: Sequence[Word], catalog: Catalog) -> dict[str, str]:
    """Question -> the answer that the command line gives instead of the recipe's."""
    questions = catalog.questions()
    return {word.key: word.values[0] for word in words if _plain(word) and word.key in questions}


def preset(words: Sequence[Word], catalog: Catalog) -> dict[str, str]:
    """question -> the answer of the `debug` that the command line names."""
    names = [word.values[0] for word in words if _plain(word) and word.key == "debug"]
    debug = catalog.answers.get(("debug", names[-1])) if names else None
    return answers_of(yaml.safe_load(debug.text)) if debug else {}


def everywhere(entries: Sequence[InputDefault], preset: Mapping[str, str]) -> list[InputDefault]:
    """A recipe's defaults list, where a question of the preset that is asked for a further place has its answer, too.

    So the teacher of a recipe's tiny twin, `/model@method.teacher`, is as tiny as its model.
    """
    for entry in entries:
        question, package = _question(entry), getattr(entry, "package", None)
        if package and question in preset and hasattr(entry, "value"):
            entry.value = preset[question]
    return list(entries)


def answers_of(file: Mapping[str, Any]) -> dict[str, str]:
    """question (with its package) -> the answer that a file's defaults list gives."""
    entries = [entry for entry in (file or {}).get("defaults") or [] if isinstance(entry, dict)]
    return {str(key).split()[-1].lstrip("/"): str(name) for entry in entries for key, name in entry.items()}


def without_lost_questions(
    entries: Sequence[InputDefault], replaced: Mapping[str, str], catalog: Catalog
) -> list[InputDefault]:
    """A defaults list without overrides of questions that the new answers do not ask."""
    lost = set(_lost(entries, replaced, catalog))
    return [entry for entry in entries if not (entry.is_override() and _question(entry) in lost)]


def without_questions_below(
    entries: Sequence[InputDefault], chosen: Mapping[str, str], preset: Mapping[str, str]
) -> list[InputDefault]:
    """The defaults list of `debug` without what it asks of its own answers, where the command line gave another one.

    `debug=tiny data=jsonl` reads the file as data=jsonl does, and not in the format of the tiny data.
    """
    others = {question for question, answer in chosen.items() if preset.get(question, answer) != answer}
    return [entry for entry in entries if not (entry.is_override() and _question(entry).rpartition("/")[0] in others)]


def _lost(entries: Sequence[InputDefault], replaced: Mapping[str, str], catalog: Catalog) -> Iterator[str]:
    for question in map(_question, entries):
        above = question.rpartition("/")[0]
        answer = catalog.answers.get((above, replaced.get(above, "")))
        if answer is not None and question not in {
            nested for nested, _ in Option.read(answer, catalog).nested.values()
        }:
            yield question


def _plain(word: Word) -> bool:
    return len(word.values) == 1 and word.package is None


def _question(entry: InputDefault) -> str:
    group = getattr(entry, "group", None)  # what is no question, such as _self_, has none
    return str(group).lstrip("/") if group else ""
