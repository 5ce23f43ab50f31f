"""Trim, elect a sign, and merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier_ensemble.merging.deltas import Thinned, elected


@dataclass(kw_only=True)
class Ties(Thinned):
    """Keep the largest differences of each model, and of these the ones that agree in sign (Yadav et al., 2023)."""

    normalize: bool = True

    def thinned(self, delta: Tensor, model: str, name: str, depth: float) -> Tensor:
        return largest(delta, self.kept(model, depth))

    def mixed(self, deltas: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
        return elected(deltas, weights, self.normalize)


def largest(delta: Tensor, density: float) -> Tensor:
    """The share `density` of the numbers that are largest in size, the rest 0; at least one, unless it is 0.

    Of equal ones the earlier.
    """
    if density >= 1:
        return delta
    kept = torch.zeros(delta.numel(), dtype=torch.bool)
    if density > 0:
        count = max(1, int(density * delta.numel()))
        kept[torch.argsort(delta.abs().flatten(), descending=True, stable=True)[:count]] = True
    return delta * kept.view_as(delta)
