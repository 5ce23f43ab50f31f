"""The protocol of merging methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor


class Merging(Protocol):
    """How the tensors of one name in several models become one; computed in float32 (float64 stays so)."""

    needs_base: bool
    """Whether one model is the base of the others, and only their differences from it (task vectors) are merged."""

    def stack(self, layers: Mapping[str, int]) -> list[tuple[str, int]] | None:
        """The layers of the result, each as a model and the index of its layer; None where layers stay in place."""
        return None

    def check(self, models: Sequence[str], base: str | None) -> None:
        """RecipeError where these models, the base among them, cannot be merged by this method."""

    def __call__(self, name: str, tensors: Mapping[str, Tensor], base: Tensor | None, depth: float) -> Tensor:
        """The merged tensor of a weight. `tensors` are those of the models but the base, in their order.

        `depth` is 0 in the first layer and 1 in the last. The tensors may be overwritten.
        """
