"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """A prompt that is to be searched for is searched for."""
    if config.prompt.get("_target_") == "luthier_prompting.searched.Searched" and "search" not in config.stages:
        yield 'prompt=searched chooses nothing unless the stages begin with search: "stages=[search,evaluate]".'
