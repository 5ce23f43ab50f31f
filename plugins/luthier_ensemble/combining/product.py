"""The mean of log-probabilities: a product of experts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from luthier.api import RecipeError
from luthier_ensemble.combining.combining import Combining, evenly


@dataclass(kw_only=True)
class Product(Combining):
    """p ∝ (Π pᵢ^wᵢ)^strength with shares wᵢ that add up to 1: likely is what no member finds unlikely (Hinton, 2002).

    `strength` 1 is the geometric mean; as many as there are members is the plain product.
    """

    weights: dict[str, float] | None = None
    strength: float = 1.0

    weighted = True

    def check(self, members: Sequence[str]) -> None:
        evenly(members, self.weights)
        if self.strength <= 0:
            raise RecipeError(
                f"The strength of a product is above 0, not {self.strength}.", where="model.combining.strength"
            )

    def shares(self, members: Sequence[str]) -> list[float]:
        return evenly(members, self.weights)

    def __call__(self, said: Iterable[tuple[str, Tensor]], log_shares: Tensor) -> Tensor:
        powers = (self.strength * log_shares.exp()).unbind(-1)
        total: Tensor | None = None
        for (_, log_probs), power in zip(said, powers, strict=True):
            part = log_probs * power.unsqueeze(-1)
            total = part if total is None else total + part
        assert total is not None, "an ensemble has members"
        return total
