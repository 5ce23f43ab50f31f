"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """Layers that sleep have no gradient for several devices to wait for."""
    strategy = config.trainer.get("strategy", {})
    if config.adaptation.get("_target_") == "luthier_adapters.lisa.Lisa" and strategy.get("find_unused") is False:
        yield "Layers of adaptation=lisa sleep, and devices would wait for them: set trainer.strategy.find_unused=true."
