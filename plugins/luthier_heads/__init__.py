"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig

_CLASSIFY = "luthier_heads.classify.Classify"
_VIRTUAL = "luthier_prefix."


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """Refuse what a classification head cannot do with the rest of the recipe, before anything is loaded."""
    if config.method.get("_target_") != _CLASSIFY:
        return
    if str(config.adaptation.get("_target_")).startswith(_VIRTUAL):
        yield (
            "method=classify trains a new head, and virtual tokens leave every weight of the network as it is. Choose "
            "another adaptation, such as lora, bottleneck or full."
        )
    if not str(config.prompt.get("_target_")).endswith(".ChatPrompt"):
        yield "method=classify reads the text alone, without what a prompt puts around it. Leave prompt=chat."
