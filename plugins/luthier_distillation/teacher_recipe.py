"""The parts of a recipe of method=distill that the verbs `cache-teacher` and `ask-teacher` need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luthier.api import RecipeError, assemble
from luthier_distillation.distill import Distillation

if TYPE_CHECKING:
    from luthier.api import Composition, Parts


def teacher_parts(composition: Composition) -> tuple[Distillation, Parts]:
    """The method and all parts of a recipe; RecipeError where it has no teacher, or an offline one."""
    parts = assemble(composition.config, composition.trust)
    if not isinstance(parts.method, Distillation) or parts.method.offline:
        raise RecipeError(
            "The recipe has no teacher that could be run.",
            where="method",
            hint="Say method=distill, without method.offline_teacher.",
        )
    return parts.method, parts
