"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """Virtual tokens are prepended to each packed sequence by luthier's own attention alone."""
    if not str(config.adaptation.get("_target_", "")).startswith("luthier_prefix."):
        return
    attention = config.model.get("attn_implementation", "luthier_packed")
    if attention != "luthier_packed":
        yield (
            f"model.attn_implementation={attention} cannot put virtual tokens before each sequence: "
            "set it to luthier_packed, or choose another adaptation."
        )
