"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig


@hookimpl
def luthier_recipes() -> str:
    return "pkg://luthier_tanka.recipes"


@hookimpl
def luthier_check(config: DictConfig) -> Iterable[str]:
    """The last line cannot weigh less than nothing."""
    if config.method.get("last_line", 1.0) < 0:
        yield f"method.last_line is {config.method.last_line}, and no line weighs less than nothing."
