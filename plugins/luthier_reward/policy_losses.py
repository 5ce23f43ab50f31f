"""Policy losses: one function for each objective of policy gradients.

ratio = π_θ / π_old of each token, A its advantage. `average` is how token losses are averaged over a step, as
`LossAverage` describes it. Each sets `tokens.clipped` to the tokens whose ratio is clipped.
"""

from __future__ import annotations

import torch
from torch import Tensor

from luthier.api import LossAverage, PolicyTokens


def clipped(
    tokens: PolicyTokens, *, low: float = 0.2, high: float = 0.2, average: LossAverage = "answer"
) -> tuple[Tensor, Tensor]:
    """-min(ratio · A, clip(ratio, 1 - low, 1 + high) · A) of each token (PPO, Schulman et al., 2017, equation 7).

    `average`: each answer has the same weight (GRPO, Shao et al., 2024, equation 3), each token has (DAPO, Yu et al.,
    2025, equation 8), or sums are divided by the maximum answer length (Dr. GRPO, Liu et al., 2025). DAPO's clip-higher
    is a `high` above `low`.
    """
    return _clipped_surrogate(tokens, tokens.log_ratio.exp(), low, high, average)


def sequence_clipped(
    tokens: PolicyTokens, *, low: float = 3e-4, high: float = 4e-4, average: LossAverage = "answer"
) -> tuple[Tensor, Tensor]:
    """The clipped loss on the geometric mean of an answer's ratios (GSPO, Zheng et al., 2025, equation 7)."""
    return _clipped_surrogate(tokens, tokens.answer_means(tokens.log_ratio).exp(), low, high, average)


def cispo(
    tokens: PolicyTokens, *, low: float = 1.0, high: float = 4.0, average: LossAverage = "token"
) -> tuple[Tensor, Tensor]:
    """-sg(clip(ratio, 1 - low, 1 + high)) · A · log π_θ, sg being the stop-gradient (MiniMax-M1, 2025, equation 4).

    The gradient of a token is bounded but never 0, however large its ratio is.
    """
    ratio = tokens.log_ratio.detach().exp()
    weight = ratio.clamp(1 - low, 1 + high)
    tokens.clipped = weight != ratio
    return tokens.averaged(-weight * tokens.advantages * tokens.log_probs, average)


def _clipped_surrogate(
    tokens: PolicyTokens, ratio: Tensor, low: float, high: float, average: LossAverage
) -> tuple[Tensor, Tensor]:
    unclipped, bounded = ratio * tokens.advantages, ratio.clamp(1 - low, 1 + high) * tokens.advantages
    tokens.clipped = bounded < unclipped
    return tokens.averaged(-torch.minimum(unclipped, bounded), average)
