"""Objectives of single answers with a binary label: one function each.

r = log π_θ - log π_ref is the log-ratio of an answer. Each returns the loss of every answer, float32 [n].
"""

from __future__ import annotations

import torch
from torch import Tensor

from luthier.api import RatedAnswers


def kto(answers: RatedAnswers, *, beta: float = 0.1, liked: float = 1.0, disliked: float = 1.0) -> Tensor:
    """λ_D (1 - σ(β (r - z))) for a liked answer, λ_U (1 - σ(β (z - r))) for another, z the reference point.

    KTO (Ethayarajh et al., 2024, equation 8); `liked` and `disliked` are λ_D and λ_U.
    """
    gain = answers.log_ratio - answers.reference_point
    good, bad = liked * (1 - (beta * gain).sigmoid()), disliked * (1 - (-beta * gain).sigmoid())
    return torch.where(answers.liked, good, bad)


def apo_unpaired(answers: RatedAnswers, *, beta: float = 0.1, liked: float = 1.0, disliked: float = 1.0) -> Tensor:
    """λ_D (1 - σ(β r)) for a liked answer, λ_U σ(β r) for another: APO-zero without pairs.

    D'Oosterlinck et al., 2024, equation 7.
    """
    probability = (beta * answers.log_ratio).sigmoid()
    return torch.where(answers.liked, liked * (1 - probability), disliked * probability)
