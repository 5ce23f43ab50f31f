"""A mixture of experts' distributions: the weighted mean of probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier_ensemble.combining.combining import Combining, normalized


@dataclass(kw_only=True)
class Mixture(Combining):
    """p = Σ wᵢ pᵢ with weights wᵢ that add up to 1: a token is likely if it is likely to some member."""

    weights: dict[str, float] | None = None

    weighted = True

    def check(self, members: Sequence[str]) -> None:
        normalized(self.weights, members)

    def weights_of(self, members: Sequence[str]) -> list[float]:
        return normalized(self.weights, members)

    def __call__(self, log_probs: Iterable[tuple[str, Tensor]], log_weights: Tensor) -> Tensor:
        mixed: Tensor | None = None
        for (_, member), log_weight in zip(log_probs, log_weights.unbind(-1), strict=True):
            part = member + log_weight.unsqueeze(-1)
            mixed = part if mixed is None else torch.logaddexp(mixed, part)
        assert mixed is not None, "an ensemble has members"
        return mixed
