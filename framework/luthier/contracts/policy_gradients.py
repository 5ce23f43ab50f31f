"""What advantages and policy losses are given, and what they give back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor


def _alone(values: Tensor) -> Tensor:
    return values


@dataclass
class RewardedAnswers:
    """P prompts with G answers each, of at most T tokens.

    `rewards` float32 [P, G], NaN where there is none; `penalties` float32 [P, G, T], to be taken from the reward at
    each token; `lengths` int64 [P, G]. What a baseline needs beside them is made when it is asked for: `greedy` [P],
    the reward of the likeliest answer to each prompt, and `values` [P, G, T], what was expected at each token; who asks
    for these leaves in `returns` what they should have been. `total` adds up over all devices.
    """

    rewards: Tensor
    penalties: Tensor
    lengths: Tensor
    greedy: Callable[[], Tensor]
    values: Callable[[], Tensor]
    total: Callable[[Tensor], Tensor] = _alone
    returns: Tensor | None = field(default=None, init=False)

    @property
    def sums(self) -> Tensor:
        """r of each answer, [P, G]."""
        return self.rewards - self.penalties.sum(-1)

    @property
    def written(self) -> Tensor:
        """Whether there is a token, of an answer that has a reward; bool [P, G, T]."""
        there = torch.arange(self.penalties.shape[-1], device=self.lengths.device) < self.lengths.unsqueeze(-1)
        return there & ~self.rewards.isnan().unsqueeze(-1)

    def normalised(self, values: Tensor, epsilon: float = 1e-8) -> Tensor:
        """Values [P, G, T] less their mean, divided by their standard deviation, over the tokens of all devices."""
        there = self.written
        plain = torch.where(there, values, 0.0).double()
        count, first = self.total(torch.stack([there.double().sum(), plain.sum()]))
        mean = first / count.clamp_min(1)
        second = self.total(torch.where(there, (plain - mean) ** 2, 0.0).sum())
        deviation = (second / count.clamp_min(1)).sqrt()
        found: Tensor = (values - mean) / (deviation + epsilon)
        return found.float()


Advantage = Callable[[RewardedAnswers], Tensor]
"""Advantages of answers [P, G], or of their tokens [P, G, T]; what they say of answers without a reward is not read."""


LossAverage = Literal["answer", "token", "constant"]


@dataclass
class PolicyTokens:
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

    def averaged(self, losses: Tensor, over: LossAverage) -> tuple[Tensor, Tensor]:
        """The sum of what the tokens cost, [n], corrected and with penalties, and the weight to divide it by."""
        return _AVERAGES[over](self, losses * self.correction + self.penalties)


def _over_answers(tokens: PolicyTokens, costs: Tensor) -> tuple[Tensor, Tensor]:
    return (costs / tokens.lengths[tokens.answer]).sum(), tokens.answers


def _over_tokens(tokens: PolicyTokens, costs: Tensor) -> tuple[Tensor, Tensor]:
    return costs.sum(), tokens.count


def _over_constant(tokens: PolicyTokens, costs: Tensor) -> tuple[Tensor, Tensor]:
    return costs.sum() / tokens.limit, tokens.answers


_AVERAGES: Mapping[str, Callable[[PolicyTokens, Tensor], tuple[Tensor, Tensor]]] = MappingProxyType(
    {"answer": _over_answers, "token": _over_tokens, "constant": _over_constant}
)

PolicyLoss = Callable[[PolicyTokens], tuple[Tensor, Tensor]]
"""The sum of a loss over tokens and the weight to divide it by; its settings are bound by the recipe."""
