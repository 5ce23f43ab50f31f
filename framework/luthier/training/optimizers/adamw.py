"""AdamW, as torch computes it in one fused pass."""

from __future__ import annotations

from typing import Any

import torch

from luthier.training.optimizers.groups import Named, Rate, one_rate, parameter_groups
from luthier.training.optimizers.schedules import Schedule, scheduled


class AdamW:
    """Move each weight by its gradient's running mean over the root of its running square (Loshchilov & Hutter, 2019).

    Norms, biases, embeddings and the head do not decay.
    """

    def __init__(
        self,
        schedule: Schedule,
        *,
        lr: float = 2e-5,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        self.schedule, self.lr, self.weight_decay = schedule, lr, weight_decay
        self.betas, self.eps = (beta1, beta2), eps

    def __call__(self, named_parameters: Named, total_steps: int, rate: Rate = one_rate) -> dict[str, Any]:
        groups = parameter_groups(named_parameters, self.lr, self.weight_decay, rate)
        optimizer = torch.optim.AdamW(groups, lr=self.lr, betas=self.betas, eps=self.eps, fused=True)
        return scheduled(optimizer, self.schedule, total_steps)
