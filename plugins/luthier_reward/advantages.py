"""Advantage estimators: the reward of an answer less a baseline.

r is the reward of an answer less the KL penalties of its tokens, where the recipe subtracts those from the reward.
Answers without a score are excluded from means and deviations. Shapes are those of `RewardedAnswers`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from luthier.api import RewardedAnswers


def grpo(rewarded: RewardedAnswers, *, epsilon: float = 1e-4) -> Tensor:
    """(r - mean) / (std + ε) over the group, [P, G] (GRPO, Shao et al., 2024, section 4.1.2).

    The standard deviation is that of a sample, with n - 1 in the denominator.
    """
    centred = dr_grpo(rewarded)
    return centred / (_deviation(centred) + epsilon)


def dr_grpo(rewarded: RewardedAnswers) -> Tensor:
    """r - mean over the group, without normalisation, [P, G] (Dr. GRPO, Liu et al., 2025, section 3.2)."""
    return rewarded.penalised_rewards - rewarded.penalised_rewards.nanmean(-1, keepdim=True)


def rloo(rewarded: RewardedAnswers) -> Tensor:
    """r - the mean of the other answers of the group, [P, G] (RLOO, Ahmadian et al., 2024, section 3.3).

    0 for the only answer of a group with a score.
    """
    count = (~rewarded.rewards.isnan()).sum(-1, keepdim=True)
    return dr_grpo(rewarded) * count / (count - 1).clamp_min(1)


def remax(rewarded: RewardedAnswers) -> Tensor:
    """r - the reward of the greedy answer to the same prompt, [P, G] (ReMax, Li et al., 2024, equation 5)."""
    return rewarded.penalised_rewards - rewarded.greedy_rewards().unsqueeze(-1)


def reinforce_pp(rewarded: RewardedAnswers, *, baseline: bool = False) -> Tensor:
    """The reward less the KL penalties of this and all later tokens, whitened over the step, [P, G, T].

    REINFORCE++ (Hu, 2025, section 3). With `baseline` the mean reward of the group is subtracted first.
    """
    rewards = rewarded.rewards
    if baseline:
        rewards = rewards - rewards.nanmean(-1, keepdim=True)
    penalties_to_go = rewarded.penalties.flip(-1).cumsum(-1).flip(-1)
    return rewarded.whitened(rewards.unsqueeze(-1) - penalties_to_go)


def gae(rewarded: RewardedAnswers, *, gamma: float = 1.0, lam: float = 0.95, whiten: bool = True) -> Tensor:
    """Generalised advantage estimation (Schulman et al., 2016, equation 16) with a value head, as in PPO, [P, G, T].

    The reward is received at the last token of an answer and the KL penalties at each; `whiten` normalises the
    advantages over the step. The returns, advantages + values before whitening, are the targets of the value head.
    """
    mask, values = rewarded.token_mask, rewarded.values()
    steps = torch.arange(values.shape[-1], device=values.device)
    last = steps == (rewarded.lengths - 1).unsqueeze(-1)
    rewards = torch.where(last, rewarded.rewards.unsqueeze(-1), 0.0) - rewarded.penalties
    values = torch.where(mask, values, 0.0)
    advantages = torch.zeros_like(values)
    next_advantage = next_value = torch.zeros_like(values[..., 0])
    for step in reversed(range(values.shape[-1])):
        error = rewards[..., step] + gamma * next_value - values[..., step]
        next_advantage = torch.where(mask[..., step], error + gamma * lam * next_advantage, 0.0)
        advantages[..., step], next_value = next_advantage, values[..., step]
    rewarded.returns = advantages + values
    return rewarded.whitened(advantages) if whiten else advantages


def _deviation(centred: Tensor) -> Tensor:
    """The sample standard deviation of centred values along the last dimension, ignoring NaN; 0 for a single value."""
    count = (~centred.isnan()).sum(-1, keepdim=True)
    return (centred.square().nansum(-1, keepdim=True) / (count - 1).clamp_min(1)).sqrt()
