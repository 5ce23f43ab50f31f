"""How much better an answer was than could be expected: one function for each way to say what was to be expected.

r is the reward of an answer less the KL penalties of its tokens, where the recipe puts those into the reward.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier.api import Advantage, RecipeError, RewardedAnswers


def grpo(rewarded: RewardedAnswers, *, epsilon: float = 1e-4) -> Tensor:
    """(r - mean) / (std + ε) over the answers to the same prompt.

    Shao et al., 2024, section 4.1.2; the standard deviation is that of a sample, with n - 1 below the fraction bar.
    """
    centred = dr_grpo(rewarded)
    return centred / (_deviation(centred) + epsilon)


def dr_grpo(rewarded: RewardedAnswers) -> Tensor:
    """r - mean over the answers to the same prompt, not divided by anything (Liu et al., 2025, section 3.2)."""
    return rewarded.sums - rewarded.sums.nanmean(-1, keepdim=True)


def rloo(rewarded: RewardedAnswers) -> Tensor:
    """r - the mean of the other answers to the prompt (Ahmadian et al., 2024, section 3.3); 0 where it is alone."""
    count = (~rewarded.rewards.isnan()).sum(-1, keepdim=True)
    return dr_grpo(rewarded) * count / (count - 1).clamp_min(1)


def remax(rewarded: RewardedAnswers) -> Tensor:
    """r - the reward of the likeliest answer to the same prompt (Li et al., 2024, equation 5)."""
    return rewarded.sums - rewarded.greedy().unsqueeze(-1)


def reinforce_pp(rewarded: RewardedAnswers, *, baseline: bool = False) -> Tensor:
    """The reward less the penalties from here on, normalised over all tokens of the step.

    REINFORCE++ (Hu, 2025, section 3); with `baseline` the mean over the answers to the prompt is subtracted first.
    """
    rewards = rewarded.rewards
    if baseline:
        rewards = rewards - rewards.nanmean(-1, keepdim=True)
    ahead = rewarded.penalties.flip(-1).cumsum(-1).flip(-1)
    return rewarded.normalised(rewards.unsqueeze(-1) - ahead)


def gae(rewarded: RewardedAnswers, *, gamma: float = 1.0, lam: float = 0.95, whiten: bool = True) -> Tensor:
    """Generalised advantage estimation (Schulman et al., 2016, equation 16) on a value head, as PPO uses it.

    The reward comes with the last token of an answer, the penalties with each; `whiten` normalises over the step.
    """
    there, values = rewarded.written, rewarded.values()
    steps = torch.arange(values.shape[-1], device=values.device)
    last = steps == (rewarded.lengths - 1).unsqueeze(-1)
    rewards = torch.where(last, rewarded.rewards.unsqueeze(-1), 0.0) - rewarded.penalties
    values = torch.where(there, values, 0.0)
    advantages, ahead, value_ahead = torch.zeros_like(values), values[..., 0] * 0, values[..., 0] * 0
    for step in reversed(range(values.shape[-1])):
        error = rewards[..., step] + gamma * value_ahead - values[..., step]
        ahead = torch.where(there[..., step], error + gamma * lam * ahead, 0.0)
        advantages[..., step], value_ahead = ahead, values[..., step]
    rewarded.returns = advantages + values
    return rewarded.normalised(advantages) if whiten else advantages


def _deviation(centred: Tensor) -> Tensor:
    """The standard deviation of the sample along the last dimension, NaN left out; 0 of a single value."""
    count = (~centred.isnan()).sum(-1, keepdim=True)
    return (centred.square().nansum(-1, keepdim=True) / (count - 1).clamp_min(1)).sqrt()


@dataclass(frozen=True, slots=True)
class Needs:
    """What an advantage looks at beside the rewards."""

    greedy: bool
    values: bool


def needs(advantage: Advantage) -> Needs:
    """Found out by trying it on two prompts with two made-up answers; RecipeError where it gives what is none."""
    asked: set[str] = set()

    def made(name: str, value: Tensor) -> Callable[[], Tensor]:
        def make() -> Tensor:
            asked.add(name)
            return value

        return make

    tried = RewardedAnswers(
        torch.tensor([[1.0, 0.0], [0.5, 1.0]]),
        torch.full((2, 2, 3), 0.1),
        torch.tensor([[3, 2], [1, 3]]),
        made("greedy", torch.tensor([0.5, 0.5])),
        made("values", torch.full((2, 2, 3), 0.5)),
    )
    name = getattr(getattr(advantage, "func", advantage), "__name__", type(advantage).__name__)
    try:
        found = advantage(tried)
    except (AttributeError, TypeError) as error:
        raise RecipeError(f"{name} is no advantage: {error}.", where="method.advantage") from error
    if found.shape not in ((2, 2), (2, 2, 3)) or not found.isfinite().all():
        raise RecipeError(
            f"{name} gives {found.tolist()} for two answers to each of two prompts, where a finite number for each "
            "answer, or for each of its tokens, is expected.",
            where="method.advantage",
        )
    return Needs("greedy" in asked, "values" in asked)
