"""What the objectives of reward models share."""

from __future__ import annotations

import torch
from torch import Tensor


def with_ones(values: Tensor) -> Tensor:
    """(value, 1) of each unit, [units] to [units, 2]: statistics whose ratio is the mean."""
    return torch.stack([values, torch.ones_like(values)], 1)
