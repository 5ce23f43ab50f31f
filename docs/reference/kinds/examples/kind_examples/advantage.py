"""An advantage estimator."""

from torch import Tensor

from luthier.api import RewardedAnswers


def above_median(answers: RewardedAnswers, *, scale: float = 1.0) -> Tensor:
    """`scale` times what the reward of an answer is above the median of its group."""
    rewards = answers.penalised_rewards
    return scale * (rewards - rewards.nanmedian(-1, keepdim=True).values)
