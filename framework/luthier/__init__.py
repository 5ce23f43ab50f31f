"""Fit a foundation model to its user: recipes composed by Hydra, parts from plugins, runs by Lightning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luthier.plugins import old_modules
from luthier.plugins.hookspecs import hookimpl
from luthier.version import __version__

if TYPE_CHECKING:
    from luthier.api import Artifact, load

old_modules.install(api="luthier.api")

__all__ = ["Artifact", "__version__", "hookimpl", "load"]


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for, so that the command line answers at once."""
    if name in {"Artifact", "load"}:
        from luthier import api

        return getattr(api, name)
    raise AttributeError(f"module 'luthier' has no attribute {name!r}")
