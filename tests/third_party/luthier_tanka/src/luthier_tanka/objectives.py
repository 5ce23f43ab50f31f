"""What a token costs, given its log-probability."""

from __future__ import annotations

from torch import Tensor


class Likelihood:
    """-log p."""

    def __call__(self, log_probs: Tensor) -> Tensor:
        return -log_probs


class Focal:
    """-(1 - p)^gamma log p: what is known already counts less (Lin et al., 2017, equation 4)."""

    def __init__(self, *, gamma: float = 2.0) -> None:
        self.gamma = gamma

    def __call__(self, log_probs: Tensor) -> Tensor:
        return -((1 - log_probs.exp()) ** self.gamma) * log_probs
