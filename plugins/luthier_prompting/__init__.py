"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """prompt=searched needs the stage `search`."""
    if config.prompt.get("_target_") == "luthier_prompting.searched.PromptSearch" and "search" not in config.stages:
        yield "prompt=searched needs the stage search before the others: 'stages=[search,evaluate]'."
