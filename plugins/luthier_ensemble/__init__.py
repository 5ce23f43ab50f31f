"""Hooks only; nothing here imports torch."""

from __future__ import annotations

import luthier


@luthier.hookimpl
def luthier_recipes() -> str:
    return "pkg://luthier_ensemble.recipes"
