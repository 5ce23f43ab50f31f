"""Sums of what models learned: their differences from the base they share, thinned out or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

from luthier.api import RecipeError
from luthier_ensemble.layers import check_named, number
from luthier_ensemble.merging.merging import Merging


@dataclass(kw_only=True)
class TaskArithmetic(Merging):
    """The base plus `scale` times the weighted sum of the differences from it (Ilharco et al., 2023).

    θ₀ + λ Σ wᵢ (θᵢ - θ₀); a weight below 0 takes away what a model learned. `normalize` divides by Σ wᵢ.
    """

    weights: dict[str, float | list[float]] | None = None
    scale: float = 1.0
    normalize: bool = False

    needs_base = True

    def check(self, models: Sequence[str], base: str | None) -> None:
        check_named(self.weights, [model for model in models if model != base], "weights")

    def __call__(self, name: str, tensors: Mapping[str, Tensor], base: Tensor | None, depth: float) -> Tensor:
        assert base is not None
        deltas = [self.thinned(tensor - base, model, name, depth) for model, tensor in tensors.items()]
        weights = [number(self.weights, model, depth, 1.0) for model in tensors]
        return base + self.mixed(deltas, weights) * self.scale

    def thinned(self, delta: Tensor, model: str, name: str, depth: float) -> Tensor:
        """What is left of a difference; all of it."""
        return delta

    def mixed(self, deltas: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
        """The weighted sum, or the mean."""
        total = sum(weights)
        mixed = sum_of(deltas, weights)
        return mixed / total if self.normalize and abs(total) >= 1e-8 else mixed


@dataclass(kw_only=True)
class Thinned(TaskArithmetic):
    """Differences of which a share, `density`, is kept; `densities` says it for single models, or layers."""

    density: float = 0.5
    densities: dict[str, float | list[float]] | None = None

    def check(self, models: Sequence[str], base: str | None) -> None:
        super().check(models, base)
        check_named(self.densities, [model for model in models if model != base], "densities")
        given = [self.density]
        for each in (self.densities or {}).values():
            given += [each] if isinstance(each, (int, float)) else each
        if wrong := [one for one in given if not 0 <= one <= 1]:
            raise RecipeError(f"A density is {wrong[0]}.", where="model.merging.density", hint="Use 0 to 1.")

    def kept(self, model: str, depth: float) -> float:
        """The density of a model at a depth."""
        return number(self.densities, model, depth, self.density)


def elected(deltas: Sequence[Tensor], weights: Sequence[float], normalize: bool) -> Tensor:
    """The weighted sum of what has the sign of the whole sum, number by number (TIES, Yadav et al., 2023).

    With `normalize` it is divided by the weights of what agrees.
    """
    positive = sum_of(deltas, weights) >= 0
    mixed, divisor = torch.zeros_like(deltas[0]), torch.zeros_like(deltas[0])
    for delta, weight in zip(deltas, weights, strict=True):
        weighted = delta * weight
        agrees = torch.where(positive, weighted > 0, weighted < 0)
        mixed += weighted * agrees
        divisor += agrees * weight
    return mixed / torch.where(divisor == 0, 1, divisor) if normalize else mixed


def sum_of(deltas: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    total = torch.zeros_like(deltas[0])
    for delta, weight in zip(deltas, weights, strict=True):
        total.add_(delta, alpha=weight)
    return total


def chance(seed: int, model: str, name: str) -> torch.Generator:
    """The random numbers of one model's weight, the same on every machine and in any order of weights."""
    digest = blake2b(f"{seed}\0{model}\0{name}".encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little"))
