"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """Documents that need a package to be read are looked at before anything is loaded."""
    from luthier_retrieval.documents.kinds import unreadable

    documents = config.prompt.get("documents")
    for name in ("path", "member"):
        place = documents.get(name) if documents else None
        if isinstance(place, str) and (sentence := unreadable(place)):
            yield sentence
