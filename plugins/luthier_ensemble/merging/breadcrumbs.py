"""Model breadcrumbs: the differences of largest and of smallest magnitude are set to 0."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from luthier_ensemble.merging.deltas import SignElection, SparsifiedDeltas


@dataclass(kw_only=True)
class Breadcrumbs(SparsifiedDeltas):
    """Drop the fraction `gamma` of the largest differences, and the smallest ones (Davari & Belilovsky, 2023).

    The fraction `density` in between is kept; where both do not fit, fewer of the largest are dropped.
    """

    gamma: float = 0.01

    def sparsified(self, delta: Tensor, model: str, name: str, depth: float) -> Tensor:
        return middle(delta, self.density_at(model, depth), self.gamma)


@dataclass(kw_only=True)
class BreadcrumbsTies(Breadcrumbs, SignElection):
    """Breadcrumbs, of which only the differences of the elected sign are summed, as in TIES."""


def middle(delta: Tensor, density: float, gamma: float) -> Tensor:
    """The fraction `density` of the values below the fraction `gamma` of largest magnitude; the rest 0."""
    if density >= 1:
        return delta
    count = delta.numel()
    keep = int(density * count)
    lowest = max(0, count - keep - int(gamma * count))
    mask = torch.zeros(count, dtype=torch.bool)
    mask[torch.argsort(delta.abs().flatten(), stable=True)[lowest : lowest + keep]] = True
    return delta * mask.view_as(delta)
