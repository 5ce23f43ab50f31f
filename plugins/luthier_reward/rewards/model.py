"""The score of a trained reward model, as a reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.api import Messages
from luthier_reward.rewards.run_reward import RunReward


class ModelReward(RunReward):
    """The score of the conversation with the answer under a run of `method=reward_model`, times `scale`."""

    def __init__(self, *, path: str, scale: float = 1.0) -> None:
        super().__init__(path)
        self.scale = scale

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        conversations = [[*map(dict, prompt), {"role": "assistant", "content": answer}] for answer in answers]
        return [self.scale * float(score) for score in self.artifact.rewards(conversations)]
