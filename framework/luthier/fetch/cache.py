"""The cache of fetched and computed files: the folder `LUTHIER_CACHE`, else ~/.cache/luthier."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from luthier.fetch.paths import local_path

_read_only = ContextVar("luthier_cache_read_only", default=False)


def cache_folder(kind: str) -> Path:
    """The cache folder of one kind of files (`packages`, `models`, `blocks`, …), created if necessary."""
    root = Path(os.environ.get("LUTHIER_CACHE") or Path.home() / ".cache" / "luthier")
    place = local_path(root).absolute() / kind
    if not cache_is_read_only():
        place.mkdir(parents=True, exist_ok=True)
    return place


@contextmanager
def read_only_cache() -> Iterator[None]:
    """In this context only cached files are used: nothing is fetched, computed or written (ResourceError instead)."""
    token = _read_only.set(True)
    try:
        yield
    finally:
        _read_only.reset(token)


def cache_is_read_only() -> bool:
    """Whether this is the context of `read_only_cache`."""
    return _read_only.get()
