"""What an answer costs that is liked or not, with no other one to compare it with: one function each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Answers:
    """n answers: `ratio` is log p - log p_ref of each, float32 [n], `liked` whether it is a good one, bool [n].

    `drift` is a scalar without gradient, how far the model is from its reference on average; made when asked for.
    """

    ratio: Tensor
    liked: Tensor
    estimate: Callable[[], Tensor]

    @cached_property
    def drift(self) -> Tensor:
        return self.estimate().clamp(min=0)


Objective = Callable[[Answers], Tensor]
"""The loss of each answer, [n]; its settings are bound by the recipe."""


def kto(answers: Answers, *, beta: float = 0.1, liked: float = 1.0, disliked: float = 1.0) -> Tensor:
    """λ_D (1 - σ(β (r - z))) for a liked answer, λ_U (1 - σ(β (z - r))) for another, z the drift.

    Ethayarajh et al., 2024, equation 8; `liked` and `disliked` are λ_D and λ_U.
    """
    gain = answers.ratio - answers.drift
    good, bad = liked * (1 - (beta * gain).sigmoid()), disliked * (1 - (-beta * gain).sigmoid())
    return torch.where(answers.liked, good, bad)


def apo_unpaired(answers: Answers, *, beta: float = 0.1, liked: float = 1.0, disliked: float = 1.0) -> Tensor:
    """λ_D (1 - σ(β r)) for a liked answer, λ_U σ(β r) for another: APO-zero, answer by answer.

    D'Oosterlinck et al., 2024, equation 7.
    """
    chance = (beta * answers.ratio).sigmoid()
    return torch.where(answers.liked, liked * (1 - chance), disliked * chance)
