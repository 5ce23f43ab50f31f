"""The mean of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier.api import RecipeError
from luthier_ensemble.layers import check_named, number
from luthier_ensemble.merging.merging import Merging


@dataclass(kw_only=True)
class Linear(Merging):
    """The weighted mean, Σ wᵢ θᵢ / Σ wᵢ: a soup (Wortsman et al., 2022). Without `normalize` it is the sum."""

    weights: dict[str, float | list[float]] | None = None
    normalize: bool = True

    needs_base = False

    def check(self, models: Sequence[str], base: str | None) -> None:
        check_named(self.weights, models, "weights")

    def __call__(self, name: str, tensors: Mapping[str, Tensor], base: Tensor | None, depth: float) -> Tensor:
        weights = {model: number(self.weights, model, depth, 1.0) for model in tensors}
        return weighted(tensors, weights, self.normalize, name)


def weighted(tensors: Mapping[str, Tensor], weights: Mapping[str, float], normalize: bool, name: str) -> Tensor:
    """Σ wᵢ θᵢ, over Σ wᵢ where that is asked; RecipeError where the weights add up to nothing."""
    total = sum(weights.values())
    if normalize and abs(total) < 1e-8:
        raise RecipeError(f"The weights of {name} add up to 0.", where="model.merging.weights")
    result = torch.zeros_like(next(iter(tensors.values())))
    for model, tensor in tensors.items():
        result.add_(tensor, alpha=weights[model])
    return result.div_(total) if normalize else result
