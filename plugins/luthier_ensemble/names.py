"""Checks that the names in settings are names of the members, models or runs of a recipe."""

from __future__ import annotations

from collections.abc import Iterable

from luthier.api import RecipeError, nearest


def check_name(name: str, known: Iterable[str], *, kind: str = "member", use: str = "", where: str) -> None:
    """RecipeError where `name` is none of the known members (or models, runs: `kind`), with the nearest one.

    `use` completes the sentence: "to give a weight to".
    """
    if name not in (names := list(known)):
        sentence = " ".join(filter(None, [f"There is no {kind} {name!r}", use]))
        raise RecipeError(f"{sentence}.", where=where, hint=nearest(name, names, f"The {kind}s are"))
