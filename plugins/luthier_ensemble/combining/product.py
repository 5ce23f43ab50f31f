"""A product of experts: the weighted mean of log-probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from luthier.api import RecipeError
from luthier_ensemble.combining.combining import Combining, normalized


@dataclass(kw_only=True)
class Product(Combining):
    """p ∝ (Π pᵢ^wᵢ)^strength with weights wᵢ that add up to 1: a product of experts (Hinton, 2002).

    A token is likely if it is unlikely to no member. `strength` 1 is the geometric mean; with the number of members as
    `strength` and equal weights it is the plain product.
    """

    weights: dict[str, float] | None = None
    strength: float = 1.0

    weighted = True

    def check(self, members: Sequence[str]) -> None:
        normalized(self.weights, members)
        if self.strength <= 0:
            raise RecipeError(
                f"The strength of a product is above 0, not {self.strength}.", where="model.combining.strength"
            )

    def weights_of(self, members: Sequence[str]) -> list[float]:
        return normalized(self.weights, members)

    def __call__(self, log_probs: Iterable[tuple[str, Tensor]], log_weights: Tensor) -> Tensor:
        powers = (self.strength * log_weights.exp()).unbind(-1)
        total: Tensor | None = None
        for (_, member), power in zip(log_probs, powers, strict=True):
            part = member * power.unsqueeze(-1)
            total = part if total is None else total + part
        assert total is not None, "an ensemble has members"
        return total
