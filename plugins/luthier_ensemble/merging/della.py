"""DELLA: differences are dropped at random, small ones with a higher probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier.api import RecipeError
from luthier_ensemble.merging.dare import DareTies
from luthier_ensemble.merging.deltas import random_generator


@dataclass(kw_only=True)
class Della(DareTies):
    """Keep a difference with a probability that rises with the rank of its magnitude in its row (Deep et al., 2024).

    The probability goes from density - `epsilon` for a row's smallest to density + `epsilon` for its largest; with
    `rescale` the kept differences are divided by it. Then a sign is elected, as in TIES.
    """

    epsilon: float = 0.15

    def check(self, models: Sequence[str], base: str | None) -> None:
        super().check(models, base)
        for density in self.all_densities():
            if density < 1 and not self.epsilon < density < 1 - self.epsilon:
                raise RecipeError(
                    f"With density {density} and epsilon {self.epsilon} some probability is outside 0 to 1.",
                    where="model.merging.epsilon",
                )

    def sparsified(self, delta: Tensor, model: str, name: str, depth: float) -> Tensor:
        density = self.density_at(model, depth)
        if density >= 1:
            return delta
        rows = delta if delta.dim() > 1 else delta.unsqueeze(0)
        probabilities = keep_probabilities(rows, density, self.epsilon).view_as(delta)
        mask = torch.bernoulli(probabilities, generator=random_generator(self.seed, model, name))
        return delta * mask / (probabilities if self.rescale else 1)


def keep_probabilities(rows: Tensor, density: float, epsilon: float) -> Tensor:
    """density - ε + 2 ε · rank, the rank by magnitude of each value in its row from 0 to 1, float32."""
    order = rows.abs().argsort(dim=1, stable=True)
    ranks = order.argsort(dim=1).float() / max(1, rows.shape[1] - 1)
    return density - epsilon + ranks * 2 * epsilon
