"""Four answers of up to five tokens whose log-probabilities are formulas: the same on every machine."""

from __future__ import annotations

import torch

LENGTHS = [5, 2, 4, 1]
ADVANTAGES = [1.25, -0.75, 0.5, -1.0]


def waves(shift: float, scale: float) -> torch.Tensor:
    """float64 [4, 5]."""
    return scale * torch.sin(torch.arange(20, dtype=torch.float64) * 1.7 + shift).view(4, 5)


def mask() -> torch.Tensor:
    return (torch.arange(5) < torch.tensor(LENGTHS).unsqueeze(1)).double()


def log_probs() -> torch.Tensor:
    return -1.5 + waves(0.0, 0.4)


def old() -> torch.Tensor:
    return log_probs() + waves(1.0, 0.5)


def reference() -> torch.Tensor:
    return log_probs() + waves(2.0, 0.6)


def rollout_log_probs() -> torch.Tensor:
    return old() + waves(3.0, 0.9)


def entropies() -> torch.Tensor:
    return 2 + waves(4.0, 1.0)
