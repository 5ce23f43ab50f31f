"""The settings in which a recipe differs from the run that it resumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from luthier.config.fingerprint import NOT_THE_WORK


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`optimizer.lr was 0.0001, is 0.0002`, for each setting that differs; naming and resuming aside."""
    old, new = dict(_leaves(then)), dict(_leaves(now))
    return [
        f"{path} was {old.get(path, 'not said')}, is {new.get(path, 'not said')}"
        for path in dict.fromkeys([*old, *new])
        if old.get(path) != new.get(path) and path not in NOT_THE_WORK
    ]


def _leaves(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
