"""An objective that is tried on made-up values and does not know what it is given."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from luthier.api import RecipeError


def wrong_kind(objective: Any, given: Any, kind: str, error: AttributeError | TypeError) -> RecipeError | None:
    """RecipeError where an objective was not written for what it is given; None where its own code fails."""
    *_, last = traceback.extract_tb(error.__traceback__)
    reads_another = isinstance(error, AttributeError) and error.obj is given
    if not reads_another and error.__traceback__ is not None and error.__traceback__.tb_next is not None:
        return None
    name = getattr(getattr(objective, "func", objective), "__name__", type(objective).__name__)
    place = f" ({Path(last.filename).name}:{last.lineno})" if reads_another else ""
    return RecipeError(f"{name} is not an objective for {kind}: {error}{place}.", where="method.objective")
