"""KL penalties: KL(π_θ ‖ π_ref) estimated per token from sampled answers.

In the formulas d = log π_θ - log π_ref of a token, in nats (Schulman, "Approximating KL divergence", 2020).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor

Estimator = Callable[[Tensor], Tensor]
"""The KL estimate of each token from d, float32 [n] to [n]."""


class KLPenalty:
    """`beta` times a KL estimate per token, subtracted from the reward or added to the loss, as `place` says."""

    def __init__(self, estimate: Estimator, beta: float, place: Literal["reward", "loss"]) -> None:
        self.estimate, self.beta, self.place = estimate, beta, place

    @property
    def in_reward(self) -> bool:
        return self.beta != 0 and self.place == "reward"

    @property
    def in_loss(self) -> bool:
        return self.beta != 0 and self.place == "loss"

    @property
    def active(self) -> bool:
        """Whether log-probabilities under the reference policy are computed."""
        return self.beta != 0

    def penalty(self, log_probs: Tensor, reference: Tensor) -> Tensor:
        """The penalty of each token from its log-probabilities under both policies, [n]."""
        return self.beta * self.estimate(log_probs - reference)


class NoKLPenalty(KLPenalty):
    """No KL penalty; no reference policy is computed."""

    def __init__(self) -> None:
        super().__init__(k1, 0.0, "loss")


class K1(KLPenalty):
    """k1 = d: unbiased, of either sign. Its gradient is 0 in expectation, so it is subtracted from the reward."""

    def __init__(self, *, beta: float = 0.05, place: Literal["reward", "loss"] = "reward") -> None:
        super().__init__(k1, beta, place)


class K2(KLPenalty):
    """k2 = d² / 2: biased, never negative; in the loss its gradient is that of the reverse KL divergence."""

    def __init__(self, *, beta: float = 0.05, place: Literal["reward", "loss"] = "loss") -> None:
        super().__init__(k2, beta, place)


class K3(KLPenalty):
    """k3 = exp(-d) - 1 + d: unbiased, never negative; GRPO adds it to the loss (Shao et al., 2024, equation 4)."""

    def __init__(self, *, beta: float = 0.04, place: Literal["reward", "loss"] = "loss") -> None:
        super().__init__(k3, beta, place)


def k1(difference: Tensor) -> Tensor:
    return difference


def k2(difference: Tensor) -> Tensor:
    return difference.square() / 2


def k3(difference: Tensor) -> Tensor:
    return (-difference).exp() - 1 + difference
