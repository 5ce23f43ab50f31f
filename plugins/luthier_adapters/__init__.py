"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """Frozen layers have no gradient, for which several devices would wait."""
    strategy = config.trainer.get("strategy", {})
    if config.adaptation.get("_target_") == "luthier_adapters.lisa.Lisa" and strategy.get("find_unused") is False:
        yield "adaptation=lisa freezes layers whose gradients devices wait for: set trainer.strategy.find_unused=true."
