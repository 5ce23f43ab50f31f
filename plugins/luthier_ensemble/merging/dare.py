"""DARE: differences are dropped at random, and the rest is rescaled."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from luthier_ensemble.merging.deltas import SignElection, SparsifiedDeltas, random_generator


@dataclass(kw_only=True)
class Dare(SparsifiedDeltas):
    """Drop differences at random and divide the rest by the density, so that the expected sum stays (Yu et al., 2024).

    The same `seed` drops the same values. Without `rescale` the rest is not divided.
    """

    rescale: bool = True
    seed: int = 0

    def sparsified(self, delta: Tensor, model: str, name: str, depth: float) -> Tensor:
        density = self.density_at(model, depth)
        if density >= 1:
            return delta
        mask = torch.bernoulli(torch.full(delta.shape, density), generator=random_generator(self.seed, model, name))
        return delta * mask / (density if self.rescale and density else 1)


@dataclass(kw_only=True)
class DareTies(Dare, SignElection):
    """DARE, of which only the differences of the elected sign are summed, as in TIES."""
