"""What is minimised so that good answers become more likely: one function for each objective.

ratio is p(token) / p_old(token), now and when the answers were written; A the advantage of the token.
"""

from __future__ import annotations

import torch
from torch import Tensor

from luthier.api import LossAverage, PolicyTokens


def clipped(
    tokens: PolicyTokens, *, low: float = 0.2, high: float = 0.2, average: LossAverage = "answer"
) -> tuple[Tensor, Tensor]:
    """-min(ratio · A, clip(ratio, 1 - low, 1 + high) · A) of each token (Schulman et al., 2017, equation 7).

    `average`: each answer counts the same (GRPO, Shao et al., 2024, equation 3), each token does (DAPO, Yu et al.,
    2025, equation 8), or sums are divided by the most tokens an answer may have (Dr. GRPO, Liu et al., 2025). DAPO's
    clip-higher is a `high` above `low`.
    """
    ratio = tokens.log_ratio.exp()
    return _pessimistic(tokens, ratio, low, high, average)


def sequence_clipped(
    tokens: PolicyTokens, *, low: float = 3e-4, high: float = 4e-4, average: LossAverage = "answer"
) -> tuple[Tensor, Tensor]:
    """The same with the geometric mean of the ratios of an answer's tokens (GSPO, Zheng et al., 2025, equation 7)."""
    ratio = tokens.by_answer(tokens.log_ratio).exp()
    return _pessimistic(tokens, ratio, low, high, average)


def cispo(
    tokens: PolicyTokens, *, low: float = 1.0, high: float = 4.0, average: LossAverage = "token"
) -> tuple[Tensor, Tensor]:
    """-clip(ratio, 1 - low, 1 + high) · A · log p, the clipped ratio without a gradient (MiniMax-M1, 2025, equation 4).

    No token's gradient is cut away, however far its ratio has gone.
    """
    ratio = tokens.log_ratio.detach().exp()
    weight = ratio.clamp(1 - low, 1 + high)
    tokens.clipped = weight != ratio
    return tokens.averaged(-weight * tokens.advantages * tokens.log_probs, average)


def _pessimistic(
    tokens: PolicyTokens, ratio: Tensor, low: float, high: float, average: LossAverage
) -> tuple[Tensor, Tensor]:
    free, held = ratio * tokens.advantages, ratio.clamp(1 - low, 1 + high) * tokens.advantages
    tokens.clipped = held < free
    return tokens.averaged(-torch.minimum(free, held), average)
