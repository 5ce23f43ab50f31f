"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig

_METHODS = {"luthier_heads.classify.Classify": "classify", "luthier_heads.tag.Tag": "tag"}
_MLM = "luthier_heads.mlm.MaskedLanguageModeling"
_VIRTUAL = "luthier_prefix."
_DIFFERENCES = (".principal.Pissa", ".principal.Olora")


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """Refuse what a head cannot do with the rest of the recipe, before anything is loaded."""
    virtual = str(config.adaptation.get("_target_")).startswith(_VIRTUAL)
    if config.method.get("_target_") == _MLM and virtual:
        yield (
            "method=mlm trains an encoder, and virtual tokens stand before texts that a language model continues. "
            "Choose another adaptation, such as lora or full."
        )
    method = _METHODS.get(str(config.method.get("_target_")))
    if method is None:
        return
    if virtual:
        yield (
            f"method={method} trains a new head, and virtual tokens leave every weight of the network as it is. Choose "
            "another adaptation, such as lora, bottleneck or full."
        )
    if str(config.adaptation.get("_target_")).endswith(_DIFFERENCES):
        yield (
            f"method={method} trains a new head, and the artifact of this adaptation is a difference of low rank, "
            "which does not hold it. Choose another adaptation, such as lora or dora."
        )
    if not str(config.prompt.get("_target_")).endswith(".ChatPrompt"):
        yield f"method={method} reads the text alone, without what a prompt puts around it. Leave prompt=chat."
