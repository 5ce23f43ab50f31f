"""Contrastive decoding: an expert's log-probabilities against those of an amateur."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier.api import RecipeError, check_names
from luthier_ensemble.combining.combining import Combining


@dataclass(kw_only=True)
class Contrastive(Combining):
    """q ∝ p_expert^(1 + β) / p_amateur^β over the tokens with p_expert ≥ α · max p_expert (O'Brien & Lewis, 2023).

    The ensemble's distribution is (1 - floor) · q + floor · p_expert, so that no token has probability 0 and every loss
    is finite.
    """

    expert: str
    amateur: str
    beta: float = 0.5
    alpha: float = 0.1
    floor: float = 0.001

    weighted = False

    def check(self, members: Sequence[str]) -> None:
        for role in ("expert", "amateur"):
            check_names(
                [getattr(self, role)], members, kind="member", use=f"to be the {role}", where=f"model.combining.{role}"
            )
        if len(members) != 2 or self.expert == self.amateur:
            raise RecipeError(
                f"A contrast is between an expert and an amateur, and the members are {', '.join(members)}.",
                where="model.members",
            )
        wrong = {"beta": self.beta < 0, "alpha": not 0 < self.alpha <= 1, "floor": not 0 < self.floor < 1}
        for name in (name for name, is_wrong in wrong.items() if is_wrong):
            raise RecipeError(
                f"{name} is {getattr(self, name)}, but beta is 0 or more, alpha above 0 and at most 1, and floor "
                "between 0 and 1.",
                where=f"model.combining.{name}",
            )

    def weights_of(self, members: Sequence[str]) -> list[float]:
        return [1.0 if name == self.expert else 0.0 for name in members]

    def __call__(self, log_probs: Iterable[tuple[str, Tensor]], log_weights: Tensor) -> Tensor:
        by_name = dict(log_probs)
        expert, amateur = by_name[self.expert], by_name[self.amateur]
        contrast = (1 + self.beta) * expert - self.beta * amateur
        implausible = expert < expert.amax(-1, keepdim=True) + math.log(self.alpha)
        contrast = torch.log_softmax(contrast.masked_fill(implausible, -torch.inf), dim=-1)
        return torch.logaddexp(contrast + math.log1p(-self.floor), expert + math.log(self.floor))
