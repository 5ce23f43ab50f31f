"""TIES merging: trim, elect a sign, and sum what agrees with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from luthier_ensemble.merging.deltas import SignElection


@dataclass(kw_only=True)
class Ties(SignElection):
    """Keep each model's differences of largest magnitude, and sum those of the elected sign (Yadav et al., 2023)."""

    normalize: bool = True

    def sparsified(self, delta: Tensor, model: str, name: str, depth: float) -> Tensor:
        return largest(delta, self.density_at(model, depth))


def largest(delta: Tensor, density: float) -> Tensor:
    """The fraction `density` of the values of largest magnitude, the rest 0; at least one value, unless it is 0.

    Of equal magnitudes the first is kept.
    """
    if density >= 1:
        return delta
    mask = torch.zeros(delta.numel(), dtype=torch.bool)
    if density > 0:
        count = max(1, int(density * delta.numel()))
        mask[torch.argsort(delta.abs().flatten(), descending=True, stable=True)[:count]] = True
    return delta * mask.view_as(delta)
