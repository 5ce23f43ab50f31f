"""A weighted sum of rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.api import (
    Messages,
    ParsingReward,
    ReadingReward,
    RecipeError,
    Reward,
    RewardScores,
    WarmingReward,
    check_names,
    has_state,
)


class Weighted:
    """Σ weight · reward over named rewards; the weight of a reward that `weights` does not name is 1.

    An answer that has no score from one of them has none. The scores of each are logged by name.
    """

    def __init__(self, *, rewards: dict[str, Reward], weights: dict[str, float] | None = None) -> None:
        if not rewards:
            raise RecipeError(
                "A weighted sum needs at least one reward.",
                where="method.reward.rewards",
                hint="In a recipe's defaults: /method/reward@method.reward.rewards.NAME: length, for each.",
            )
        check_names(weights or (), rewards, kind="reward", use="to give a weight to", where="method.reward.weights")
        self.rewards, self.weights = rewards, {name: float((weights or {}).get(name, 1.0)) for name in rewards}

    @property
    def columns(self) -> list[str]:
        reading = [reward for reward in self.rewards.values() if isinstance(reward, ReadingReward)]
        return [column for reward in reading for column in reward.columns]

    @property
    def in_process(self) -> bool:
        """All are computed in the training process where one of them has to be."""
        return any(getattr(reward, "in_process", False) for reward in self.rewards.values())

    def warm_up(self) -> None:
        for reward in self.rewards.values():
            if isinstance(reward, WarmingReward):
                reward.warm_up()

    def state_dict(self) -> dict[str, Any] | None:
        """The states of the rewards that have one, by name; None where none has."""
        return {name: reward.state_dict() for name, reward in self.rewards.items() if has_state(reward)} or None

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, reward in self.rewards.items():
            if has_state(reward):
                reward.load_state_dict(state[name])

    def parts(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> dict[str, RewardScores]:
        return {name: reward(prompt, answers, example) for name, reward in self.rewards.items()}

    def total(self, parts: Mapping[str, RewardScores]) -> RewardScores:
        return [self._sum(dict(zip(parts, scores, strict=True))) for scores in zip(*parts.values(), strict=True)]

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> RewardScores:
        return self.total(self.parts(prompt, answers, example))

    def formed(self, answer: str) -> bool:
        """Whether the answer parses under all rewards that parse answers."""
        return all(reward.formed(answer) for reward in self.rewards.values() if isinstance(reward, ParsingReward))

    def _sum(self, scores: dict[str, float | None]) -> float | None:
        known = [self.weights[name] * score for name, score in scores.items() if score is not None]
        return sum(known) if len(known) == len(scores) else None
