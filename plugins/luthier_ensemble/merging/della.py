"""Drop small differences more often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier.api import RecipeError
from luthier_ensemble.merging.dare import DareTies
from luthier_ensemble.merging.deltas import chance


@dataclass(kw_only=True)
class Della(DareTies):
    """Keep a difference with a probability that rises with its rank by size, within its row (Deep et al., 2024).

    From density - `epsilon` for a row's smallest to density + `epsilon` for its largest; what is kept is divided by its
    probability with `rescale`. Then a sign is elected, as in TIES.
    """

    epsilon: float = 0.15

    def check(self, models: Sequence[str], base: str | None) -> None:
        super().check(models, base)
        given = [self.density]
        for each in (self.densities or {}).values():
            given += [each] if isinstance(each, (int, float)) else each
        for density in given:
            if density < 1 and not self.epsilon < density < 1 - self.epsilon:
                raise RecipeError(
                    f"With density {density} and epsilon {self.epsilon} some probability is outside 0 to 1.",
                    where="model.merging.epsilon",
                )

    def thinned(self, delta: Tensor, model: str, name: str, depth: float) -> Tensor:
        density = self.kept(model, depth)
        if density >= 1:
            return delta
        likely = by_rank(delta if delta.dim() > 1 else delta.unsqueeze(0), density, self.epsilon).view_as(delta)
        kept = torch.bernoulli(likely, generator=chance(self.seed, model, name))
        return delta * kept / (likely if self.rescale else 1)


def by_rank(rows: Tensor, density: float, epsilon: float) -> Tensor:
    """density - ε + 2 ε · rank, the rank by size of each number in its row from 0 to 1, float32."""
    order = rows.abs().argsort(dim=1, stable=True)
    ranks = order.argsort(dim=1).float() / max(1, rows.shape[1] - 1)
    return density - epsilon + ranks * 2 * epsilon
