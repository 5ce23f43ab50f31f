"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """Refuse documents whose reader needs a package that is not installed, before anything is loaded."""
    from luthier_retrieval.documents.kinds import unreadable

    documents = config.prompt.get("documents")
    for name in ("path", "member"):
        path = documents.get(name) if documents else None
        if isinstance(path, str) and (sentence := unreadable(path)):
            yield sentence
