"""What every advantage estimator keeps to; inherit it, and say the answer.

class TestMine(AdvantageContract):
    answer = "method/advantage=mine"
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch

from luthier.contracts.policy_gradients import Advantage, RewardedAnswers
from luthier.testing.part import PartContract

CHEAP = (
    "method=grpo", "batch.packing=false", "method.group=3", "method.rollout.max_new_tokens=8", "method/reward=length",
    "method.reward.fewest=4", "method.reward.most=4", "method.reward.slack=8",
)  # fmt: skip
"""A training on rewards that takes a second: three short answers to each prompt."""


def rewarded(rewards: list[list[float]], *, tokens: int = 5) -> RewardedAnswers:
    """Answers of `tokens` tokens with these rewards, NaN for one without."""
    given = torch.tensor(rewards)
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(*given.shape, tokens, generator=generator)
    return RewardedAnswers(
        rewards=given,
        penalties=torch.zeros(*given.shape, tokens),
        lengths=torch.full(given.shape, tokens),
        greedy_rewards=lambda: given.nan_to_num().mean(-1),
        values=lambda: values,
    )


class AdvantageContract(PartContract):
    """Estimates advantages of given rewards, and trains a tiny model with them."""

    around: ClassVar[tuple[str, ...]] = CHEAP

    def test_each_answer_or_each_token_has_an_advantage(self) -> None:
        answers = rewarded([[1.0, 0.0, 0.5], [0.0, 2.0, 1.0]])
        advantages = self._advantage()(answers)
        assert advantages.shape in {answers.rewards.shape, answers.penalties.shape}
        assert advantages.dtype == torch.float32
        assert torch.isfinite(advantages).all()
        assert not advantages.requires_grad

    def test_an_answer_without_a_reward_leaves_the_others_theirs(self) -> None:
        advantages = self._advantage()(rewarded([[1.0, float("nan"), 0.5]]))
        assert torch.isfinite(advantages[:, [0, 2]]).all()

    def test_equal_rewards_are_no_fault(self) -> None:
        assert torch.isfinite(self._advantage()(rewarded([[1.0, 1.0, 1.0]]))).all()

    def test_the_better_answer_has_the_larger_advantage(self) -> None:
        advantages = self._advantage()(rewarded([[1.0, 0.0, 0.5]]))
        mean = advantages.flatten(2).mean(-1) if advantages.dim() == 3 else advantages
        assert mean[0, 0] > mean[0, 1]

    def test_a_training_uses_it(self, tmp_path: Path) -> None:
        run = self.run(tmp_path / "run", "stages=[fit]")
        run.carry_out()
        assert run.end.step == 2

    def _advantage(self) -> Advantage:
        built: Advantage = self.built()
        return built
