"""Task arithmetic: sums of the models' differences from their base (task vectors), sparsified or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

from luthier.api import RecipeError
from luthier_ensemble.layers import check_numbers, number_at
from luthier_ensemble.merging.merging import Merging


@dataclass(kw_only=True)
class TaskArithmetic(Merging):
    """The base plus `scale` times the weighted sum of the differences from it (Ilharco et al., 2023).

    θ₀ + λ Σ wᵢ (θᵢ - θ₀); a negative weight removes what a model learned. `normalize` divides by Σ wᵢ.
    """

    weights: dict[str, float | list[float]] | None = None
    scale: float = 1.0
    normalize: bool = False

    needs_base = True

    def check(self, models: Sequence[str], base: str | None) -> None:
        check_numbers(self.weights, [model for model in models if model != base], "weights")

    def __call__(self, name: str, tensors: Mapping[str, Tensor], base: Tensor | None, depth: float) -> Tensor:
        assert base is not None
        deltas = [self.sparsified(tensor - base, model, name, depth) for model, tensor in tensors.items()]
        weights = [number_at(self.weights, model, depth, 1.0) for model in tensors]
        return base + self.summed(deltas, weights) * self.scale

    def sparsified(self, delta: Tensor, model: str, name: str, depth: float) -> Tensor:
        """The difference with some of its values set to 0; here all of it."""
        return delta

    def summed(self, deltas: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
        """The weighted sum of the differences, or with `normalize` their weighted mean."""
        total = sum(weights)
        summed = weighted_sum(deltas, weights)
        return summed / total if self.normalize and abs(total) >= 1e-8 else summed


@dataclass(kw_only=True)
class SparsifiedDeltas(TaskArithmetic):
    """Keep the fraction `density` of each difference; `densities` overrides it for single models, or layers."""

    density: float = 0.5
    densities: dict[str, float | list[float]] | None = None

    def check(self, models: Sequence[str], base: str | None) -> None:
        super().check(models, base)
        check_numbers(self.densities, [model for model in models if model != base], "densities")
        if wrong := [density for density in self.all_densities() if not 0 <= density <= 1]:
            raise RecipeError(f"A density is {wrong[0]}.", where="model.merging.density", hint="Use 0 to 1.")

    def all_densities(self) -> list[float]:
        """Every density of the settings."""
        by_model = (self.densities or {}).values()
        return [self.density, *(one for each in by_model for one in (each if isinstance(each, list) else [each]))]

    def density_at(self, model: str, depth: float) -> float:
        """The density of a model at a depth."""
        return number_at(self.densities, model, depth, self.density)


@dataclass(kw_only=True)
class SignElection(SparsifiedDeltas):
    """Sum only the differences that agree with the elected sign, as in TIES."""

    def summed(self, deltas: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
        return sum_of_elected_sign(deltas, weights, self.normalize)


def sum_of_elected_sign(deltas: Sequence[Tensor], weights: Sequence[float], normalize: bool) -> Tensor:
    """The weighted sum of the values whose sign is that of the whole sum, elementwise (TIES, Yadav et al., 2023).

    With `normalize` it is divided by the sum of the weights of those values.
    """
    positive = weighted_sum(deltas, weights) >= 0
    summed, divisor = torch.zeros_like(deltas[0]), torch.zeros_like(deltas[0])
    for delta, weight in zip(deltas, weights, strict=True):
        weighted = delta * weight
        agrees = torch.where(positive, weighted > 0, weighted < 0)
        summed += weighted * agrees
        divisor += agrees * weight
    return summed / torch.where(divisor == 0, 1, divisor) if normalize else summed


def weighted_sum(deltas: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    total = torch.zeros_like(deltas[0])
    for delta, weight in zip(deltas, weights, strict=True):
        total.add_(delta, alpha=weight)
    return total


def random_generator(seed: int, model: str, name: str) -> torch.Generator:
    """The random generator of one model's weight, the same on every machine and in any order of weights."""
    digest = blake2b(f"{seed}\0{model}\0{name}".encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little"))
