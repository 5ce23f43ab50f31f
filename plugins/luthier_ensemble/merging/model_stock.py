"""Model stock: interpolates between the base and the mean by the cosine between the models' differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from luthier.api import RecipeError
from luthier_ensemble.merging.merging import Merging


@dataclass(kw_only=True)
class ModelStock(Merging):
    """t · mean + (1 - t) · base, t = n cos θ / (1 + (n - 1) cos θ) (Jang et al., 2024).

    cos θ is the mean pairwise cosine of the models' differences from the base, for each tensor, or with
    `filter_wise` for each of its rows.
    """

    filter_wise: bool = False

    needs_base = True

    def check(self, models: Sequence[str], base: str | None) -> None:
        if len(models) < 3:
            raise RecipeError("model_stock takes a base and at least two models.", where="model.models")

    def __call__(self, name: str, tensors: Mapping[str, Tensor], base: Tensor | None, depth: float) -> Tensor:
        assert base is not None
        rows = base.shape[0] if self.filter_wise and base.dim() > 1 else 1
        deltas = [(tensor - base).reshape(rows, -1) for tensor in tensors.values()]
        cosine = torch.stack([_cosine(one, other) for one, other in combinations(deltas, 2)]).mean(0)
        count = len(deltas)
        denominator = 1 + (count - 1) * cosine
        singular = denominator.abs() < 1e-6  # the differences oppose each other: the base is kept
        t = torch.where(singular, 0, count * cosine / torch.where(singular, 1, denominator))
        mean = sum(deltas[1:], deltas[0]) / count
        return base + (t.unsqueeze(1) * mean).view_as(base)


def _cosine(one: Tensor, other: Tensor) -> Tensor:
    """The cosine of each row, [rows]."""
    lengths = (one.norm(dim=1) * other.norm(dim=1)).clamp_min(1e-6)
    cosine: Tensor = (one * other).sum(1) / lengths
    return cosine.clamp(-1, 1)
