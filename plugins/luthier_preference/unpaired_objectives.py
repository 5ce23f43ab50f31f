"""What an answer costs that is liked or not, with no other one to compare it with: one function each."""

from __future__ import annotations

import torch
from torch import Tensor

from luthier.api import RatedAnswers


def kto(answers: RatedAnswers, *, beta: float = 0.1, liked: float = 1.0, disliked: float = 1.0) -> Tensor:
    """λ_D (1 - σ(β (r - z))) for a liked answer, λ_U (1 - σ(β (z - r))) for another, z the drift.

    Ethayarajh et al., 2024, equation 8; `liked` and `disliked` are λ_D and λ_U.
    """
    gain = answers.ratio - answers.drift
    good, bad = liked * (1 - (beta * gain).sigmoid()), disliked * (1 - (-beta * gain).sigmoid())
    return torch.where(answers.liked, good, bad)


def apo_unpaired(answers: RatedAnswers, *, beta: float = 0.1, liked: float = 1.0, disliked: float = 1.0) -> Tensor:
    """λ_D (1 - σ(β r)) for a liked answer, λ_U σ(β r) for another: APO-zero, answer by answer.

    D'Oosterlinck et al., 2024, equation 7.
    """
    chance = (beta * answers.ratio).sigmoid()
    return torch.where(answers.liked, liked * (1 - chance), disliked * chance)
