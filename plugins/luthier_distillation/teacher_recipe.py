"""A recipe of method=distill as far as a teacher is asked about it: the method and the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luthier.config.instantiate import build
from luthier.errors import RecipeError
from luthier.models.safety import vouch
from luthier_distillation.distill import Distillation

if TYPE_CHECKING:
    import torch

    from luthier.config.compose import Composition
    from luthier.data.module import Data


def prepared(composition: Composition) -> tuple[Distillation, Data, torch.device]:
    """Built and vouched for; RecipeError where the recipe has no teacher, or one that is kept already."""
    config: Any = composition.config
    model = build(config.model)
    vouch(model, composition.vouched)
    method = build(config.method, model, build(config.adaptation), build(config.optimizer))
    if not isinstance(method, Distillation) or method.cache:
        raise RecipeError("The recipe has no teacher that could be asked.", where="method", hint="Say method=distill.")
    vouch(method, composition.vouched)
    parts = (build(config.data), build(config.prompt), method.encode, model.tokenizer)
    return method, build(config.batch, *parts, int(config.seed)), build(config.trainer).device
