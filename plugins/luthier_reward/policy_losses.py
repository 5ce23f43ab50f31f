"""What is minimised so that good answers become more likely: one function for each objective.

ratio is p(token) / p_old(token), now and when the answers were written; A the advantage of the token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

Average = Literal["answer", "token", "constant"]


@dataclass
class Tokens:
    """The n tokens of a batch's answers; every tensor is float32 [n] unless it says otherwise.

    `log_probs` now, with a gradient, and `old`, when the answers were written; `answer` int64 [n], which answer each
    belongs to. `correction` is what the loss of each token is multiplied by as it was drawn by other probabilities,
    `penalties` what is added to it: KL, entropy, the value head's error. `answers` and `count` are how many answers and
    tokens the step's mean is over, those without an advantage included; `limit` is the most tokens of an answer.
    """

    log_probs: Tensor
    old: Tensor
    advantages: Tensor
    answer: Tensor
    correction: Tensor
    penalties: Tensor
    answers: Tensor
    count: Tensor
    limit: int
    clipped: Tensor | None = field(default=None, init=False)

    @property
    def log_ratio(self) -> Tensor:
        return self.log_probs - self.old

    @property
    def lengths(self) -> Tensor:
        """Tokens of each answer, float32 [answers]."""
        return torch.bincount(self.answer).to(self.log_probs.dtype)

    def by_answer(self, values: Tensor) -> Tensor:
        """The mean of values [n] over the tokens of the same answer, [n]."""
        lengths = self.lengths
        sums = values.new_zeros(len(lengths)).index_add(0, self.answer, values)
        return (sums / lengths)[self.answer]

    def averaged(self, losses: Tensor, over: Average) -> tuple[Tensor, Tensor]:
        """The sum of what the tokens cost, [n], corrected and with penalties, and the weight to divide it by."""
        return _AVERAGES[over](self, losses * self.correction + self.penalties)


def _over_answers(tokens: Tokens, costs: Tensor) -> tuple[Tensor, Tensor]:
    return (costs / tokens.lengths[tokens.answer]).sum(), tokens.answers


def _over_tokens(tokens: Tokens, costs: Tensor) -> tuple[Tensor, Tensor]:
    return costs.sum(), tokens.count


def _over_constant(tokens: Tokens, costs: Tensor) -> tuple[Tensor, Tensor]:
    return costs.sum() / tokens.limit, tokens.answers


_AVERAGES: Mapping[str, Callable[[Tokens, Tensor], tuple[Tensor, Tensor]]] = MappingProxyType(
    {"answer": _over_answers, "token": _over_tokens, "constant": _over_constant}
)

Surrogate = Callable[[Tokens], tuple[Tensor, Tensor]]
"""The sum of a loss over tokens and the weight to divide it by; its settings are bound by the recipe."""


def clipped(
    tokens: Tokens, *, low: float = 0.2, high: float = 0.2, average: Average = "answer"
) -> tuple[Tensor, Tensor]:
    """-min(ratio · A, clip(ratio, 1 - low, 1 + high) · A) of each token (Schulman et al., 2017, equation 7).

    `average`: each answer counts the same (GRPO, Shao et al., 2024, equation 3), each token does (DAPO, Yu et al.,
    2025, equation 8), or sums are divided by the most tokens an answer may have (Dr. GRPO, Liu et al., 2025). DAPO's
    clip-higher is a `high` above `low`.
    """
    ratio = tokens.log_ratio.exp()
    return _pessimistic(tokens, ratio, low, high, average)


def sequence_clipped(
    tokens: Tokens, *, low: float = 3e-4, high: float = 4e-4, average: Average = "answer"
) -> tuple[Tensor, Tensor]:
    """The same with the geometric mean of the ratios of an answer's tokens (GSPO, Zheng et al., 2025, equation 7)."""
    ratio = tokens.by_answer(tokens.log_ratio).exp()
    return _pessimistic(tokens, ratio, low, high, average)


def cispo(tokens: Tokens, *, low: float = 1.0, high: float = 4.0, average: Average = "token") -> tuple[Tensor, Tensor]:
    """-clip(ratio, 1 - low, 1 + high) · A · log p, the clipped ratio without a gradient (MiniMax-M1, 2025, equation 4).

    No token's gradient is cut away, however far its ratio has gone.
    """
    ratio = tokens.log_ratio.detach().exp()
    weight = ratio.clamp(1 - low, 1 + high)
    tokens.clipped = weight != ratio
    return tokens.averaged(-weight * tokens.advantages * tokens.log_probs, average)


def _pessimistic(tokens: Tokens, ratio: Tensor, low: float, high: float, average: Average) -> tuple[Tensor, Tensor]:
    free, held = ratio * tokens.advantages, ratio.clamp(1 - low, 1 + high) * tokens.advantages
    tokens.clipped = held < free
    return tokens.averaged(-torch.minimum(free, held), average)
