"""The signature of a target, read from its source without importing it."""

from __future__ import annotations

from functools import cache

from luthier.config.settings import Signature
from luthier.plugins.renamed import current_target


@cache
def signature(target: str) -> Signature:
    """Read the signature of a function, or of a class (its constructor, inherited ones too); PluginError without one.

    What Python alone knows (a compiled module, a class that is made at run time) is a signature that is `open`.
    """
    from luthier.config.source.reading import read  # griffe is imported where a signature is needed

    return read(current_target(target))
