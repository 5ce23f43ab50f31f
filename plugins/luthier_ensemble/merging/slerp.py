"""Spherical linear interpolation between two models (SLERP)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from luthier.api import RecipeError
from luthier_ensemble.layers import number_at
from luthier_ensemble.merging.merging import Merging

LINEAR = 0.9995
"""Above this cosine the vectors are interpolated linearly."""


@dataclass(kw_only=True)
class Slerp(Merging):
    """Spherical linear interpolation from the base to the other model (Shoemake, 1985), each tensor as one vector.

    sin((1 - t) Ω) / sin Ω · θ₀ + sin(t Ω) / sin Ω · θ₁, Ω being the angle between them; linear where they are
    nearly parallel. `t` may be a list, spread over the layers.
    """

    t: float | list[float] = 0.5

    needs_base = True

    def check(self, models: Sequence[str], base: str | None) -> None:
        if len(models) != 2:
            raise RecipeError(
                f"slerp is between two models, and there are {len(models)}.",
                where="model.models",
                hint="model/merging=multislerp takes more.",
            )

    def __call__(self, name: str, tensors: Mapping[str, Tensor], base: Tensor | None, depth: float) -> Tensor:
        assert base is not None
        (other,) = tensors.values()
        t = number_at({"t": self.t}, "t", depth, 0.5)
        norms = [float(tensor.norm()) for tensor in (base, other)]
        cosine = dot_product(base / (norms[0] or 1.0), other / (norms[1] or 1.0))
        if abs(cosine) > LINEAR:
            return base * (1 - t) + other * t
        angle = math.acos(max(-1.0, min(1.0, cosine)))
        return (base * math.sin((1 - t) * angle) + other * math.sin(t * angle)) / math.sin(angle)


def dot_product(one: Tensor, other: Tensor) -> float:
    return float((one * other).sum())
