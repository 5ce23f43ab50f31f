"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """Refuse settings that would multiply or have no effect."""
    if config.method.get("_target_") != "luthier_cpt.cpt.ContinuedPretraining":
        return
    if config.method.embedding_rate != 1 and config.adaptation.get("_target_", "").endswith(".EmbeddingRate"):
        yield "method.embedding_rate and adaptation=embedding_rate would multiply: set method.embedding_rate=1."
    if config.method.across_documents and not config.batch.packing:
        yield "method.across_documents=true joins the documents of a block: set batch.packing=true."


@hookimpl
def luthier_report(config: DictConfig) -> Iterable[str]:
    if config.method.get("_target_") != "luthier_cpt.cpt.ContinuedPretraining":
        return []
    from luthier_cpt.learning_rate_prior import learning_rate_note

    return list(learning_rate_note(config))
