"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from luthier.api import hookimpl


@hookimpl
def luthier_recipes() -> str:
    return "pkg://luthier_tracking.recipes"
