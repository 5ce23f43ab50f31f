"""Settings of a recipe for an answer that the command line replaced: dropped, each with a note."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from luthier.config import signatures
from luthier.config.checks import at
from luthier.config.replaced import answers_of


def drop_stale(config: dict[str, Any], recipe: Mapping[str, Any], choices: Mapping[str, str]) -> list[str]:
    """Remove the recipe's settings of a replaced answer that the new answer does not have; a sentence for each."""
    answers = answers_of(recipe)
    dropped = list(_parts(config, answers, choices))
    for question, meant in answers.items():
        above = question.rpartition("/")[0]
        if above in choices and question not in choices:
            dropped.append(f"{question}={meant}: the recipe says it below another {above} than {choices[above]}.")
            continue
        path = (question.partition("@")[2] or question).replace("/", ".")
        node, in_recipe = at(config, path), at(recipe, path)
        if choices.get(question) == meant or not isinstance(node, dict) or not isinstance(in_recipe, dict):
            continue
        for key in in_recipe:
            if key in node and not _knows(node, key):
                del node[key]
                other = f"{question}={meant}, but {choices.get(question)} was chosen."
                dropped.append(f"{path}.{key}: the recipe says it to {other}")
    return dropped


def _parts(config: dict[str, Any], answers: Mapping[str, str], choices: Mapping[str, str]) -> Iterator[str]:
    """Parts that the recipe puts into a replaced answer, such as the models of a merge."""
    for question in answers:
        part, _, place = question.partition("@")[2].partition(".")
        node, key = config.get(part), place.partition(".")[0]
        if choices.get(part) == answers.get(part) or not isinstance(node, dict) or key not in node:
            continue
        if not _knows(node, key):
            del node[key]
            yield f"{part}.{key}: the recipe says it to {part}={answers.get(part)}, but not to {choices[part]}."


def _knows(node: Mapping[str, Any], key: str) -> bool:
    if "_target_" not in node:
        return False
    signature = signatures.signature(node["_target_"])
    return signature.open or key in signature.settings
