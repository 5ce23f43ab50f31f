"""The formats by name, as in `format: messages` of a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luthier.data.formats.auto import Auto
from luthier.data.formats.detect import KNOWN, Detected, known_formats
from luthier.errors import RecipeError
from luthier.errors.suggestions import nearest

if TYPE_CHECKING:
    from luthier.data.formats.format import Format

FORMATS: dict[str, Format] = {known.name: known for known in (Auto(), *KNOWN)}


def named(name: str) -> Format:
    """The format of that name with its own defaults; RecipeError with the nearest names if there is none."""
    found = FORMATS.get(name) or Detected(name, "", 1.0).format
    if found is None:
        hint = nearest(name, [*FORMATS, *(known.name for known in known_formats()[len(KNOWN) :])], "There are")
        raise RecipeError(f"There is no format {name!r}.", where="data.format", hint=hint)
    return found
