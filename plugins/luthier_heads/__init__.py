"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig

_NEW_HEADS = {
    "luthier_heads.classify.Classify": "method=classify",
    "luthier_heads.rerank.Rerank": "method=rerank",
    "luthier_heads.tag.Tag": "method=tag",
}
_READERS = {**_NEW_HEADS, "luthier_heads.embed.Embed": "method=embed"}
_MLM = "luthier_heads.mlm.MaskedLanguageModeling"
_VIRTUAL = "luthier_prefix."


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """Refuse what a head or an embedder cannot do with the rest of the recipe, before anything is loaded."""
    target = str(config.method.get("_target_"))
    virtual = str(config.adaptation.get("_target_")).startswith(_VIRTUAL)
    if target == _MLM and virtual:
        yield (
            "method=mlm trains an encoder, and virtual tokens stand before texts that a language model continues. "
            "Choose another adaptation, such as lora or full."
        )
    if target not in _READERS:
        return
    method = _READERS[target]
    if virtual:
        yield (
            f"{method} trains a new head, and virtual tokens leave every weight of the network as it is. Choose "
            "another adaptation, such as lora, bottleneck or full."
            if target in _NEW_HEADS
            else f"{method} makes embeddings of the hidden states of a text, and virtual tokens stand among them. "
            "Choose another adaptation, such as lora, bottleneck or full."
        )
    if not str(config.prompt.get("_target_")).endswith(".ChatPrompt"):
        yield f"{method} reads the text alone, without what a prompt puts around it. Leave prompt=chat."
