"""The settings in which a recipe differs from the run that it resumes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from luthier.config.fingerprint import NOT_THE_WORK


class NotSet:
    """What stands for the value of a setting that a recipe does not have."""

    def __str__(self) -> str:
        return "not set"


NOT_SET = NotSet()


@dataclass(frozen=True, slots=True)
class Change:
    """A setting with another value than before."""

    path: str
    """What a command line calls it: the setting, or the question whose answer it is."""
    old: Any
    new: Any
    at: str
    """The setting's place in the recipe; of an answer, that of its code."""

    def __str__(self) -> str:
        return f"{self.path} was {_shown(self.old)}, is {_shown(self.new)}"

    @property
    def was_set(self) -> bool:
        """Whether there is a value to go back to."""
        return self.old is not NOT_SET

    def below(self, *paths: str) -> bool:
        """Whether it is one of these settings, or belongs to one of these parts."""
        return any(self.at == path or self.at.startswith(f"{path}.") for path in paths)


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """A change for each setting that differs; naming and resuming aside."""
    old, new = dict(_leaves(then)), dict(_leaves(now))
    return [
        Change(path, old.get(path, NOT_SET), new.get(path, NOT_SET), path)
        for path in dict.fromkeys([*old, *new])
        if old.get(path, NOT_SET) != new.get(path, NOT_SET) and path not in NOT_THE_WORK
    ]


def _shown(value: Any) -> str:
    """A value as a recipe writes it."""
    return str(value) if isinstance(value, str | NotSet) else json.dumps(value, ensure_ascii=False)


def _leaves(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
