"""The overrides of a command line in Hydra's grammar: answers to questions, and values of settings."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from luthier.config.names import refuse_bad_name
from luthier.errors import RecipeError
from luthier.errors.pasting import setting_to_paste
from luthier.errors.suggestions import nearest

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override, RangeSweep

    from luthier.config.catalog import Catalog

SIGNS = "+~"
MOST_JOBS = "LUTHIER_MAX_JOBS"
LISTED = 1000
OF_OUTPUT = {"--json", "--debug", "--trace-hooks"}


@dataclass(frozen=True, slots=True)
class Word:
    """One override: its text, its key without signs and package, and its values: one, but in sweeps."""

    text: str
    key: str
    package: str | None
    values: tuple[str, ...]
    override: Override

    @property
    def sweeps(self) -> bool:
        return bool(self.override.is_sweep_override())

    @property
    def path(self) -> str:
        """The path of the setting, as the composed recipe has it."""
        return self.key.replace("/", ".")

    def with_value(self, value: str) -> str:
        return f"{self.text.partition('=')[0]}={value}"


def to_paste(*words: str, flags: Sequence[str] = ()) -> str:
    """The command with these words as a shell reads it, with the flags that change what it does."""
    return shlex.join(["luthier", *words, *(flag for flag in flags if flag not in OF_OUTPUT)])


def read(overrides: Sequence[str], catalog: Catalog | None = None) -> list[Word]:
    """Parse the overrides; RecipeError for one that is neither question=answer nor setting=value."""
    from hydra.errors import HydraException

    words = []
    for text in overrides:
        try:
            override = _parsed(text)
        except HydraException as error:
            raise _unreadable(text, error) from error
        if not override.key_or_group:
            raise RecipeError(f"{text!r} does not say which setting it means.", where=text)
        words.append(Word(text, override.key_or_group, override.package, _values(override, catalog), override))
    return words


@cache
def _parsed(text: str) -> Override:
    """Hydra's reading of an override, which is asked for several times on the way of a command line."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create().parse_override(text)


def reads_as_text(name: str) -> bool:
    """Whether Hydra's grammar and YAML read a bare word as the text that it is, and not as null, a number or another
    value: an answer of another name cannot be chosen."""
    import yaml
    from hydra.errors import HydraException

    try:
        return bool(_parsed(f"question={name}").value() == name == yaml.safe_load(name))
    except (HydraException, yaml.YAMLError):
        return False


def _values(override: Any, catalog: Catalog | None) -> tuple[str, ...]:
    """What is listed; of an interval its beginning, of a long range both ends; of a pattern the answers it fits."""
    from hydra.core.override_parser.types import Glob, IntervalSweep, RangeSweep

    value = override.value()
    if isinstance(value, RangeSweep) and _length(value) > LISTED:
        return _ends(value)
    if isinstance(value, Glob):
        return tuple(value.filter(catalog.names(override.key_or_group))) if catalog else ()
    if isinstance(value, IntervalSweep):
        return (str(value.start),)
    if override.is_choice_sweep() or override.is_discrete_sweep():
        return tuple(str(value) for value in override.sweep_string_iterator())
    return () if override.is_sweep_override() or override.is_delete() else (str(override.value()),)


def _ends(values: RangeSweep) -> tuple[str, ...]:
    """The first and the last value of a range."""
    assert values.start is not None
    return str(values.start), str(values.start + (_length(values) - 1) * values.step)


def _length(values: RangeSweep) -> int:
    """How many values a range has."""
    assert values.start is not None
    assert values.stop is not None
    if not values.step:
        return 0
    return max(0, math.ceil((values.stop - values.start) / values.step))


def jobs_of(words: Sequence[Word]) -> int:
    """The jobs of a sweep over every combination of the listed values, counted without listing them."""
    from hydra.core.override_parser.types import RangeSweep

    swept = [(word, word.override.value()) for word in words if word.sweeps]
    return math.prod(
        _length(value) if isinstance(value, RangeSweep) else len(word.values) or 1 for word, value in swept
    )


def refuse_long_sweep(words: Sequence[Word]) -> None:
    """RecipeError for a sweep of more jobs than `LUTHIER_MAX_JOBS`; they are counted, not listed.

    A sweeper that searches decides itself how many it tries.
    """
    if any(word.key == "hydra/sweeper" for word in words):
        return
    given = os.environ.get(MOST_JOBS, "")
    most = int(given) if given.isdecimal() else LISTED
    if (jobs := jobs_of(words)) > most:
        longest = max((word for word in words if word.sweeps), key=lambda word: len(word.text))
        raise RecipeError(
            f"The sweep has {jobs:,} jobs, and at most {most:,} are started.",
            where=longest.text,
            hint=f"List fewer values, search with hydra/sweeper=optuna, or set {MOST_JOBS}={jobs}.",
        )


def _unreadable(text: str, error: Exception) -> RecipeError:
    if "=" not in text and not text.startswith("~"):
        hint = f"A verb comes first (luthier {text} …); a setting is written {text}=VALUE."
        return RecipeError(f"{text!r} is neither question=answer nor setting=value.", where=text, hint=hint)
    reason = str(error).splitlines()[0].partition("See https")[0].strip()
    return RecipeError(
        f"{text!r} cannot be read: {reason}.",
        where=text,
        hint=_way_out(text),
    )


def _way_out(text: str) -> str:
    """The override with its value as text, for pasting; a file for one that is a list or a mapping."""
    path, _, value = text.partition("=")
    bare = value.strip().strip("\"'")
    if bare[:1] in ("[", "{"):
        return "Put texts in it into quotes; where a key has special signs, write the setting into a recipe file."
    return f"Put a value with special signs into quotes: {setting_to_paste(path, bare)}."


def refuse_unknown_answers(words: Sequence[Word], catalog: Catalog) -> None:
    """RecipeError with the nearest names for a question that does not exist, or an answer that it does not have."""
    questions = catalog.questions()
    for word in words:
        if word.key.split("/")[0] == "hydra" or word.override.is_delete():
            continue
        if word.sweeps and not word.values:
            raise no_such_answer(word.key, word.text.partition("=")[2], catalog, where=word.text)
        if word.key in questions:
            for value in word.values:
                _refuse_unknown_answer(word, value, catalog)
        elif "/" in word.key or word.package is not None:
            raise no_such_question(word.key, catalog, where=word.text)


def _refuse_unknown_answer(word: Word, value: str, catalog: Catalog) -> None:
    chosen = word.override.value()
    if isinstance(chosen, list) and not all(isinstance(name, str) for name in chosen):
        raise RecipeError(f"{word.text!r} has what is no name of an answer.", where=word.text)
    if isinstance(chosen, (dict, list)):
        return
    if value == "None":
        hint = f"Leave it out, or take the question away with ~{word.key}."
        raise RecipeError(f"{word.text!r} is no answer.", where=word.text, hint=hint)
    if not value:
        raise no_such_answer(word.key, value, catalog, where=word.text)
    refuse_bad_name(value, where=word.text)
    if value not in catalog.names(word.key):
        raise no_such_answer(word.key, value, catalog, where=word.text)


def no_such_question(question: str, catalog: Catalog, *, where: str) -> RecipeError:
    hint = nearest(question, catalog.questions(), "There are")
    return RecipeError(f"There is no question {question!r}.", where=where, hint=hint)


def no_such_answer(question: str, name: str, catalog: Catalog, *, where: str) -> RecipeError:
    catalog.refuse_claimed(question, name)
    names = catalog.names(question)
    if not names:
        return no_such_question(question, catalog, where=where)
    misnamed = catalog.misnamed(question, name)
    hint = f"{misnamed} is not read: rename it to {name}.yaml." if misnamed else nearest(name, names, "There are")
    return RecipeError(f"There is no answer {name!r} to {question}.", where=where, hint=hint)


def first_jobs(words: Sequence[Word]) -> list[list[str]]:
    """Of a sweep, the command lines that use every listed value once; the first has the first value of each."""
    fixed_or_listed = [word for word in words if not word.sweeps or word.values]
    first = [word.with_value(word.values[0]) if word.sweeps else word.text for word in fixed_or_listed]
    others = [
        [*first[:place], word.with_value(value), *first[place + 1 :]]
        for place, word in enumerate(fixed_or_listed)
        if word.sweeps
        for value in word.values[1:]
    ]
    return [first, *others]
