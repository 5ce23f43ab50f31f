"""The protocol of combination methods, and the weights of an ensemble's members."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from torch import Tensor

from luthier.api import RecipeError, check_names


class Combining(Protocol):
    """How the log-probabilities of the members become logits of the ensemble, a chunk of tokens at a time."""

    weighted: bool
    """Whether each member has a weight, which can be learned."""

    def check(self, members: Sequence[str]) -> None:
        """RecipeError where these members cannot be combined by this method."""

    def weights_of(self, members: Sequence[str]) -> list[float]:
        """The weight of each member; they add up to 1."""

    def __call__(self, log_probs: Iterable[tuple[str, Tensor]], log_weights: Tensor) -> Tensor:
        """Logits [n, V] from each member's name and log-probabilities [n, V], an iterator that computes them lazily.

        `log_weights` [M] or [n, M] are the logarithms of the members' weights.
        """


def normalized(weights: Mapping[str, float] | None, members: Sequence[str]) -> list[float]:
    """The weight of each member, 1 by default, over the sum of all; RecipeError for unknown members and weights ≤ 0."""
    for name, weight in (weights or {}).items():
        where = f"model.combining.weights.{name}"
        check_names([name], members, kind="member", use="to give a weight to", where=where)
        if weight <= 0:
            raise RecipeError(
                f"{name} has the weight {weight}, which is not above 0.",
                where=where,
                hint="Leave the member out to give it no weight.",
            )
    by_member = [float((weights or {}).get(name, 1.0)) for name in members]
    return [weight / sum(by_member) for weight in by_member]
