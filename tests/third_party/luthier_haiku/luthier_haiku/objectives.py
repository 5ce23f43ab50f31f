"""What a log-probability costs."""

from __future__ import annotations

from torch import Tensor


class Likelihood:
    """-log p."""

    def __call__(self, log_probs: Tensor) -> Tensor:
        return -log_probs


class Focal:
    """-(1 - p)^focus · log p: what is known already counts less (Lin et al., 2017, equation 4)."""

    def __init__(self, *, focus: float = 2.0) -> None:
        self.focus = focus

    def __call__(self, log_probs: Tensor) -> Tensor:
        return -((1 - log_probs.exp()).clamp_min(1e-6) ** self.focus) * log_probs
