"""A recipe of method=distill as far as its teacher is asked about it: the method and the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luthier.api import RecipeError, assemble
from luthier_distillation.distill import Distillation

if TYPE_CHECKING:
    from luthier.api import Composition, Parts


def teacher_parts(composition: Composition) -> tuple[Distillation, Parts]:
    """The parts of a recipe, its method by itself; RecipeError where it has no teacher, or an offline one."""
    parts = assemble(composition.config, composition.trust)
    if not isinstance(parts.method, Distillation) or parts.method.cache:
        raise RecipeError("The recipe has no teacher that could be asked.", where="method", hint="Say method=distill.")
    return parts.method, parts
