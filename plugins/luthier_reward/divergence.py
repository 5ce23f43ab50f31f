"""How far the model has gone from where it began, estimated from the tokens that it wrote itself.

In the formulas d is log p - log p_ref of a token. Schulman, "Approximating KL divergence", 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor

Estimator = Callable[[Tensor], Tensor]


class Divergence:
    """A KL penalty: `beta` times an estimate for each token, taken from the reward or added to the loss."""

    def __init__(self, estimate: Estimator, beta: float, place: Literal["reward", "loss"]) -> None:
        self.estimate, self.beta, self.place = estimate, beta, place

    @property
    def in_reward(self) -> bool:
        return self.beta != 0 and self.place == "reward"

    @property
    def in_loss(self) -> bool:
        return self.beta != 0 and self.place == "loss"

    @property
    def wanted(self) -> bool:
        """Whether the reference is asked at all."""
        return self.beta != 0

    def penalty(self, log_probs: Tensor, reference: Tensor) -> Tensor:
        """What each token costs, [n]."""
        return self.beta * self.estimate(log_probs - reference)


class NoDivergence(Divergence):
    """No penalty, and no reference that would have to be asked."""

    def __init__(self) -> None:
        super().__init__(k1, 0.0, "loss")


class K1(Divergence):
    """d: unbiased, of either sign. In the loss its gradient is 0 on average, so its place is the reward."""

    def __init__(self, *, beta: float = 0.05, place: Literal["reward", "loss"] = "reward") -> None:
        super().__init__(k1, beta, place)


class K2(Divergence):
    """d² / 2: never negative; in the loss its gradient is that of the reverse KL divergence."""

    def __init__(self, *, beta: float = 0.05, place: Literal["reward", "loss"] = "loss") -> None:
        super().__init__(k2, beta, place)


class K3(Divergence):
    """exp(-d) - 1 + d: unbiased and never negative, as GRPO adds it to its loss (Shao et al., 2024, equation 4)."""

    def __init__(self, *, beta: float = 0.04, place: Literal["reward", "loss"] = "loss") -> None:
        super().__init__(k3, beta, place)


def k1(difference: Tensor) -> Tensor:
    return difference


def k2(difference: Tensor) -> Tensor:
    return difference.square() / 2


def k3(difference: Tensor) -> Tensor:
    return (-difference).exp() - 1 + difference
