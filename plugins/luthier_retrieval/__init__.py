"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig


@hookimpl
def luthier_recipes() -> str:
    return "pkg://luthier_retrieval.recipes"


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """Refuse a vector index whose library is not installed, before anything is indexed."""
    if "luthier_retrieval.neighbours.hnsw.Hnsw" in str(config.get("prompt")) and find_spec("faiss") is None:
        yield 'prompt/neighbours=hnsw needs faiss, which is not installed: pip install "luthier[retrieval]".'
