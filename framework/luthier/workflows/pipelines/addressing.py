"""Overrides of a pipeline: `sft.optimizer.lr=1e-4` is for the step sft, `debug=tiny` for every step."""

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


def names_pipeline(words: Sequence[str]) -> bool:
    """Whether a command line names a pipeline."""
    return any(_key(word) == QUESTION for word in words)


def pipeline_of(words: Sequence[str], catalog: Catalog) -> Pipeline:
    """The pipeline of a command line, with each override given to its steps.

    An override that begins with a step's name is for that step, any other for every step. Later overrides replace
    earlier ones, those for one step those for all. RecipeError for a name that is neither a step nor a setting.
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
        pipeline, steps=checked([_with_overrides(step, everywhere, own[step.name], catalog) for step in pipeline.steps])
    )


def _with_overrides(step: Step, everywhere: list[str], own: list[str], catalog: Catalog) -> Step:
    overrides = [*everywhere, *own]
    preset = next(
        (_key(word) == PRESET and word.partition("=")[2] for word in reversed(overrides) if _key(word) == PRESET), ""
    )
    words = list(step.words)
    if preset and (PRESET, preset) in catalog.answers:
        words = _without(words, catalog.answers[PRESET, preset].text)
    return replace(step, words=tuple(_latest([*words, *overrides])))


def _without(words: list[str], preset: str) -> list[str]:
    """A step's own overrides without those that a preset answers or sets, which takes precedence.

    Overrides that make a step start from another one stay.
    """
    file: Any = yaml.safe_load(preset)
    questions = {str(key).split()[-1].lstrip("/") for entry in file.pop("defaults", []) for key in entry}
    settings = set(settings_of(file)) - set(file)
    wired = {_question(word) for word in words if "${steps." in word}
    return [
        word
        for word in words
        if _question(word) in wired or (_question(word) not in questions and _key(word) not in settings)
    ]


def _latest(words: list[str]) -> list[str]:
    """Of several overrides of the same question or setting, the last."""
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
        command_line.read([word])  # raises: it is no setting
    if first in steps:
        return RecipeError(f"{word!r} sets nothing in the step.", where=word, hint=f"Say {first}.recipe=NAME.")
    close = get_close_matches(first, {*steps, *known}, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Its steps are {', '.join(sorted(steps))}."
    return RecipeError(f"{first!r} is neither a step of the pipeline nor a setting.", where=word, hint=hint)
