"""Linear merging: the weighted mean of the weights (model soup)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from luthier.api import RecipeError
from luthier_ensemble.layers import check_numbers, number_at
from luthier_ensemble.merging.deltas import weighted_sum
from luthier_ensemble.merging.merging import Merging


@dataclass(kw_only=True)
class Linear(Merging):
    """The weighted mean Σ wᵢ θᵢ / Σ wᵢ, a model soup (Wortsman et al., 2022); without `normalize` the weighted sum."""

    weights: dict[str, float | list[float]] | None = None
    normalize: bool = True

    needs_base = False

    def check(self, models: Sequence[str], base: str | None) -> None:
        check_numbers(self.weights, models, "weights")

    def __call__(self, name: str, tensors: Mapping[str, Tensor], base: Tensor | None, depth: float) -> Tensor:
        weights = {model: number_at(self.weights, model, depth, 1.0) for model in tensors}
        return weighted_mean(tensors, weights, self.normalize, name)


def weighted_mean(tensors: Mapping[str, Tensor], weights: Mapping[str, float], normalize: bool, name: str) -> Tensor:
    """Σ wᵢ θᵢ / Σ wᵢ, or without `normalize` Σ wᵢ θᵢ; RecipeError where the weights to normalise add up to 0."""
    total = sum(weights.values())
    if normalize and abs(total) < 1e-8:
        raise RecipeError(f"The weights of {name} add up to 0.", where="model.merging.weights")
    result = weighted_sum(list(tensors.values()), [weights[model] for model in tensors])
    return result.div_(total) if normalize else result
