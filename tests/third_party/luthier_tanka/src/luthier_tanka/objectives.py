"""What a token costs, given its log-probability, and what a pair of poems costs."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import logsigmoid


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


def couplet(pairs: Any, *, beta: float = 0.1, patience: float = 0.5) -> Tensor:
    """-log σ(β · difference) for pairs of poems, of which the longer is waited for: an objective for method=dpo."""
    longer = (pairs.chosen_tokens > pairs.rejected_tokens).float()
    return -logsigmoid(beta * pairs.log_ratio_difference + patience * longer)
