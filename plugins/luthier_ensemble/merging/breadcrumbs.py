"""Neither the largest nor the smallest differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier_ensemble.merging.deltas import Thinned, elected


@dataclass(kw_only=True)
class Breadcrumbs(Thinned):
    """Leave out the share `gamma` of the largest differences and the smallest ones (Davari & Belilovsky, 2023).

    The share `density` in between is kept; where both do not fit, fewer of the largest are left out.
    """

    gamma: float = 0.01

    def thinned(self, delta: Tensor, model: str, name: str, depth: float) -> Tensor:
        return middle(delta, self.kept(model, depth), self.gamma)


@dataclass(kw_only=True)
class BreadcrumbsTies(Breadcrumbs):
    """Breadcrumbs, and of what they leave the differences that agree in sign, as in TIES."""

    def mixed(self, deltas: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
        return elected(deltas, weights, self.normalize)


def middle(delta: Tensor, density: float, gamma: float) -> Tensor:
    """The share `density` of the numbers below the share `gamma` of the largest in size; the rest 0."""
    if density >= 1:
        return delta
    count = delta.numel()
    keep = int(density * count)
    lowest = max(0, count - keep - int(gamma * count))
    kept = torch.zeros(count, dtype=torch.bool)
    kept[torch.argsort(delta.abs().flatten(), stable=True)[lowest : lowest + keep]] = True
    return delta * kept.view_as(delta)
