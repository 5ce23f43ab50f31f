"""What a way of combining is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from torch import Tensor

from luthier.api import RecipeError, nearest


class Combining(Protocol):
    """How the log-probabilities of the members become logits of the ensemble; never for more than a chunk of tokens."""

    weighted: bool
    """Whether each member has a share, which can be learned."""

    def check(self, members: Sequence[str]) -> None:
        """RecipeError where these members cannot be combined in this way."""

    def shares(self, members: Sequence[str]) -> list[float]:
        """How much each member counts; they add up to 1."""

    def __call__(self, said: Iterable[tuple[str, Tensor]], log_shares: Tensor) -> Tensor:
        """Logits [n, V] from each member's name and log-probabilities [n, V], made one after another when asked for.

        `log_shares` [M] or [n, M] are the logarithms of how much each member counts.
        """


def evenly(members: Sequence[str], weights: Mapping[str, float] | None) -> list[float]:
    """The share of each member: its weight, or 1, over the sum of all. RecipeError for weights that do not fit."""
    for name, weight in (weights or {}).items():
        where = f"model.combining.weights.{name}"
        if name not in members:
            raise RecipeError(
                f"There is no member {name!r} to give a weight to.", where=where,
                hint=nearest(name, members, "The members are"),
            )  # fmt: skip
        if weight <= 0:
            raise RecipeError(
                f"{name} has the weight {weight}, which is not above 0.",
                where=where,
                hint="Leave the member out to have it count nothing.",
            )
    found = [float((weights or {}).get(name, 1.0)) for name in members]
    return [weight / sum(found) for weight in found]
