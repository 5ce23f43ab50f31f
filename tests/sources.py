"""What a process has read of code, forgotten: tests write another package of the same name."""

from __future__ import annotations

from luthier.config import signatures
from luthier.config.source import modules
from luthier.plugins import source_code


def forget_sources() -> None:
    """As a new process, which has read nothing yet."""
    for reading in (signatures, modules, source_code):
        for function in vars(reading).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()
