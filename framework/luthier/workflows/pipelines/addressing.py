"""To which step a word of the command line speaks: `sft.optimizer.lr=1e-4` to the step sft, `debug=tiny` to each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import yaml

from luthier.config import command_line
from luthier.config.checks import settings_of
from luthier.config.command_line import SIGNS
from luthier.errors import RecipeError
from luthier.workflows.pipelines.definition import QUESTION, Pipeline, Step, checked, reserved

if TYPE_CHECKING:
    from luthier.config.catalog import Catalog

PRESET = "debug"


def named(words: Sequence[str]) -> bool:
    """Whether a command line asks for a pipeline."""
    return any(_key(word) == QUESTION for word in words)


def asked_for(words: Sequence[str], catalog: Catalog) -> Pipeline:
    """The pipeline of a command line, every word given to the steps that it speaks to.

    A step's name in front addresses that step; other words go to each step. What is said later, and what is said to a
    step by name, replaces what was said before. RecipeError for a first word that is neither a step's nor a recipe's.
    """
    (chosen, *more) = [word for word in words if _key(word) == QUESTION]
    name = chosen.partition("=")[2]
    if more or "," in name or not chosen.startswith(f"{QUESTION}="):
        raise RecipeError("One command runs one pipeline.", where=(more or [chosen])[0], hint="Say pipeline=NAME once.")
    pipeline = Pipeline.read(name, catalog)
    steps, known = {step.name for step in pipeline.steps}, reserved(catalog)
    everywhere: list[str] = []
    own: dict[str, list[str]] = {step.name: [] for step in pipeline.steps}
    for word in words:
        first, dot, rest = word.lstrip(SIGNS).partition(".")
        if first in steps and dot:
            own[first].append(_signs(word) + rest)
        elif _key(word).split(".")[0].split("/")[0] not in known and not word.startswith("-"):
            raise _no_step(word, steps, known)
        elif _key(word) != QUESTION:
            everywhere.append(word)
    return replace(
        pipeline, steps=checked([_told(step, everywhere, own[step.name], catalog) for step in pipeline.steps])
    )


def _told(step: Step, everywhere: list[str], own: list[str], catalog: Catalog) -> Step:
    said = [*everywhere, *own]
    preset = next(
        (_key(word) == PRESET and word.partition("=")[2] for word in reversed(said) if _key(word) == PRESET), ""
    )
    words = list(step.words)
    if preset and (PRESET, preset) in catalog.answers:
        words = _without(words, catalog.answers[PRESET, preset].text)
    return replace(step, words=tuple(_latest([*words, *said])))


def _without(words: list[str], preset: str) -> list[str]:
    """A step's own words but for those to questions that a preset answers and settings that it sets: it wins.

    What makes a step start from another one stays.
    """
    said: Any = yaml.safe_load(preset)
    questions = {str(key).split()[-1].lstrip("/") for entry in said.pop("defaults", []) for key in entry}
    settings = set(settings_of(said)) - set(said)
    wired = {_question(word) for word in words if "${steps." in word}
    return [
        word
        for word in words
        if _question(word) in wired or (_question(word) not in questions and _key(word) not in settings)
    ]


def _latest(words: list[str]) -> list[str]:
    """Of several words to the same question or setting, the last."""
    return list({word.partition("=")[0].lstrip("+"): word for word in words}.values())


def _key(word: str) -> str:
    return word.lstrip(SIGNS).partition("=")[0].partition("@")[0]


def _signs(word: str) -> str:
    return word[: len(word) - len(word.lstrip(SIGNS))]


def _question(word: str) -> str:
    return _key(word).split(".")[0].split("/")[0]


def _no_step(word: str, steps: set[str], known: set[str]) -> RecipeError:
    first = _question(word)
    if "=" not in word and not word.startswith("~"):
        command_line.read([word])  # says that it is no setting
    if first in steps:
        return RecipeError(f"{word!r} says nothing to the step.", where=word, hint=f"Say {first}.recipe=NAME.")
    close = get_close_matches(first, {*steps, *known}, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Its steps are {', '.join(sorted(steps))}."
    return RecipeError(f"{first!r} is neither a step of the pipeline nor a setting.", where=word, hint=hint)
