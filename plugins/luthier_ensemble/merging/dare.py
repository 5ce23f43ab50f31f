"""Drop differences by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier_ensemble.merging.deltas import Thinned, chance, elected


@dataclass(kw_only=True)
class Dare(Thinned):
    """Drop differences by chance and enlarge the rest by 1 / density, so that their sum is expected to stay.

    Yu et al., 2024. The same `seed` drops the same numbers. Without `rescale` nothing is enlarged.
    """

    rescale: bool = True
    seed: int = 0

    def thinned(self, delta: Tensor, model: str, name: str, depth: float) -> Tensor:
        density = self.kept(model, depth)
        if density >= 1:
            return delta
        kept = torch.bernoulli(torch.full(delta.shape, density), generator=chance(self.seed, model, name))
        return delta * kept / (density if self.rescale and density else 1)


@dataclass(kw_only=True)
class DareTies(Dare):
    """DARE, and of what it leaves the differences that agree in sign, as in TIES."""

    def mixed(self, deltas: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
        return elected(deltas, weights, self.normalize)
