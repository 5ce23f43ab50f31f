"""Hooks only; the parts are read from their modules."""

import luthier


@luthier.hookimpl
def luthier_recipes() -> str:
    return "pkg://carpentry.recipes"
