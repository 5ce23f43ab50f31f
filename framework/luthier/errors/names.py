"""Names in settings that must be names of something: of the parts of a recipe, the columns of data, its labels."""

from __future__ import annotations

from collections.abc import Iterable

from luthier.errors import RecipeError
from luthier.errors.suggestions import nearest


def check_names(names: Iterable[str], known: Iterable[str], *, kind: str, use: str = "", where: str) -> None:
    """RecipeError for the first name that is none of the known ones, with the nearest of them or all.

    `kind` is what they are (member, reward, column), `use` completes the sentence ("to give a weight to"), and `where`
    is the setting that has the names.
    """
    there = list(known)
    for name in names:
        if name not in there:
            sentence = " ".join(filter(None, [f"There is no {kind} {name!r}", use]))
            raise RecipeError(f"{sentence}.", where=where, hint=nearest(name, there, "There are"))
