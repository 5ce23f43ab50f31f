"""The settings of a part: what they are, and what is wrong with the values that were given.

Keyword-only parameters are settings, and so are fields, and positional parameters of a plain type with a default; other
positional parameters are parts. `luthier.config.signatures` reads them from the source: importing it would import
torch, and take seconds where `explain`, `plan` and a mistyped value take less than one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from luthier.config.type_hints import Misfit, Part, fits, misfit
from luthier.config.type_words import readable, written
from luthier.errors import RecipeError
from luthier.errors.pasting import setting_to_paste
from luthier.errors.suggestions import nearest

REQUIRED = "???"
_SAYS_NOTHING = re.compile(r"\b(Any|object|[A-Z])\b")


@dataclass(frozen=True, slots=True)
class Setting:
    """What can be set: its annotation as written, its default (REQUIRED where there is none), its type.

    `written_in` is the dotted name of the module or class whose names the annotation uses.
    """

    name: str
    annotation: str
    default: Any
    type: Any
    written_in: str = ""

    @property
    def words(self) -> str:
        """The type in words; the annotation as written where the part alone knows what it takes for it."""
        unknown = self.type is Any or {*get_args(self.type)} == {Any, NoneType}
        return self.annotation if unknown and not _SAYS_NOTHING.search(self.annotation) else readable(self.type)


@dataclass(frozen=True, slots=True)
class Signature:
    """A target's parts and settings, its docstring and where it stands.

    `open`: it takes further settings that are not known before it is imported. Not `certain`: what is written may not
    be what it takes (a decorator of its own, a metaclass), so nothing is refused before. `by_name` are the parts that
    may be given by name, too. `needs` are the packages that it alone needs (`luthier.fetch.extras`).
    """

    target: str
    parts: tuple[str, ...]
    settings: dict[str, Setting] = field(default_factory=dict)
    doc: str = ""
    file: Path = Path()
    line: int = 0
    open: bool = False
    certain: bool = True
    by_name: dict[str, Setting] = field(default_factory=dict)
    needs: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.target.rsplit(".", 1)[-1]

    def check(self, given: dict[str, Any], *, at: str) -> list[RecipeError]:
        """What is wrong with the settings in `given`: unknown names, values of the wrong type, what is missing."""
        if not self.certain:
            return []
        values = {str(key): value for key, value in given.items() if not _is_special(str(key))}
        known = self.types
        parts = [key for key in self.parts if fits(values.get(key), Part)]  # a nested question may answer one
        unknown = (
            [] if self.open else [self._unknown(key, at) for key in values if key not in known and key not in parts]
        )
        to_check = {
            key: value for key, value in values.items() if key in known and key not in parts and value != REQUIRED
        }
        wrong = [misfit(value, known[key], f"{at}.{key}") for key, value in to_check.items()]
        missing = [name for name, setting in self.settings.items() if values.get(name, setting.default) == REQUIRED]
        return [
            *unknown,
            *(mistyped(one) for one in wrong if one),
            *(MissingSettingError.at(f"{at}.{name}") for name in missing),
        ]

    @property
    def told(self) -> dict[str, Setting]:
        """Everything that can be given by name."""
        return {**self.by_name, **self.settings}

    @property
    def types(self) -> dict[str, Any]:
        """The type of everything that can be given by name."""
        return {name: setting.type for name, setting in self.told.items()}

    def takes(self, name: str) -> bool:
        """Whether the name may be given."""
        return self.open or name in self.types or name in self.parts

    def _unknown(self, key: str, at: str) -> RecipeError:
        return unknown_setting(f"{at}.{key}", [f"{at}.{name}" for name in self.settings], self.name)


def unknown_setting(path: str, known: list[str], name: str) -> RecipeError:
    hint = nearest(path, known, f"{name} can be told")
    return RecipeError(f"There is no setting {path!r}.", where=path, hint=hint)


class MissingSettingError(RecipeError):
    """A setting without a default that nobody has given."""

    @classmethod
    def at(cls, path: str) -> MissingSettingError:
        return cls(f"{path} must be given.", where=path, hint=f"Add {path}=… .")


class NoTextError(RecipeError):
    """A value that was read as a number, a truth value or null, where a setting takes text."""

    def as_typed(self, word: str) -> str:
        """The hint for the word of the command line that gave the value: what was typed, as text."""
        path, _, typed = word.partition("=")
        return f"Quote it to have text: {setting_to_paste(path, typed)}."


def mistyped(wrong: Misfit) -> RecipeError:
    path, value, expected, of_key = wrong
    words, shown = readable(expected), written(value) if value is None or isinstance(value, bool) else repr(value)
    if of_key:
        hint = "Quote it to have text." if words.startswith("text") else ""
        return RecipeError(f"{path} has the key {shown}, but each key must be {words}.", where=path, hint=hint)
    if words.startswith("text"):
        hint = f"Quote it to have text: {setting_to_paste(path, written(value))}."
        return NoTextError(f"{path} is {shown}, but must be {words}.", where=path, hint=hint)
    hint = ""
    if expected is Part and "[" not in path:  # Hydra knows no answer to an entry of a list
        hint = f"Choose an answer for it: +QUESTION@{path}=… ."
    return RecipeError(f"{path} is {shown}, but must be {words}.", where=path, hint=hint)


def _is_special(key: str) -> bool:
    return key.startswith("_") and key.endswith("_")
