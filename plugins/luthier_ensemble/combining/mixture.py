"""The mean of probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier_ensemble.combining.combining import Combining, evenly


@dataclass(kw_only=True)
class Mixture(Combining):
    """p = Σ wᵢ pᵢ with shares wᵢ that add up to 1: likely is what some member finds likely."""

    weights: dict[str, float] | None = None

    weighted = True

    def check(self, members: Sequence[str]) -> None:
        evenly(members, self.weights)

    def shares(self, members: Sequence[str]) -> list[float]:
        return evenly(members, self.weights)

    def __call__(self, said: Iterable[tuple[str, Tensor]], log_shares: Tensor) -> Tensor:
        mixed: Tensor | None = None
        for (_, log_probs), log_share in zip(said, log_shares.unbind(-1), strict=True):
            part = log_probs + log_share.unsqueeze(-1)
            mixed = part if mixed is None else torch.logaddexp(mixed, part)
        assert mixed is not None, "an ensemble has members"
        return mixed
