"""A mean on the sphere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier.api import RecipeError
from luthier_ensemble.layers import check_numbers, number_at
from luthier_ensemble.merging.merging import Merging

EPS = 1e-8


@dataclass(kw_only=True)
class MultiSlerp(Merging):
    """A weighted mean of directions, in the tangent space at their normalised mean, times the mean length.

    With two models and equal weights it is slerp's direction. With a base the differences from it are averaged.
    """

    weights: dict[str, float | list[float]] | None = None

    needs_base = False

    def check(self, models: Sequence[str], base: str | None) -> None:
        check_numbers(self.weights, models, "weights")

    def __call__(self, name: str, tensors: Mapping[str, Tensor], base: Tensor | None, depth: float) -> Tensor:
        if len(tensors) == 1:
            return next(iter(tensors.values()))
        weights = torch.tensor([number_at(self.weights, model, depth, 1.0) for model in tensors])
        stacked = torch.stack([tensor if base is None else tensor - base for tensor in tensors.values()])
        mean = mean_on_sphere(stacked, (weights / weights.sum()).to(stacked.dtype), name)
        return mean if base is None else mean + base


def mean_on_sphere(stacked: Tensor, weights: Tensor, name: str) -> Tensor:
    """The mean of [n, …] by weights [n] that add up to 1; RecipeError where the directions cancel out."""
    flat, column = stacked.flatten(1), weights.view(-1, 1)
    norms = flat.norm(dim=1, keepdim=True)
    units = flat / (norms + EPS)
    mean = (units * column).sum(0)
    length = mean.norm()
    if length < EPS:
        if not norms.any():
            return stacked[0]
        if len(stacked) == 2:
            line: Tensor = (flat * column).sum(0)
            return line.view(stacked.shape[1:])
        raise RecipeError(f"The directions of {name} cancel out.", where="model.merging", hint="Change the weights.")
    mean = mean / length
    tangents = units - (units * mean).sum(1, keepdim=True) * mean
    tangent = (tangents * column).sum(0)
    angle = tangent.norm() + EPS
    direction = mean * torch.cos(angle) + tangent * (torch.sin(angle) / angle)
    scaled: Tensor = direction * (norms * column).sum()
    return scaled.view(stacked.shape[1:])
