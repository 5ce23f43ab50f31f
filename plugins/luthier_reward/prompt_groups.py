"""A group: a prompt, the answers sampled for it and their rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.api import Answer, Example, RewardResult, Row, TokenSequence, prompt_of, row_with_shared_prefix
from luthier_reward.reward_runner import RewardRequest


@dataclass(frozen=True, slots=True)
class Group:
    """A prompt with its sampled answers and their rewards, in the same order.

    `prompt_ids` int32 [n] are the tokens of the prompt, `example_index` is the place of `example` in its split, and
    `resamples` counts how often the group was replaced by another prompt.
    """

    prompt_ids: NDArray[np.int32]
    example_index: int
    example: Example
    answers: Sequence[Answer] = ()
    rewards: RewardResult = field(default_factory=lambda: RewardResult([]))
    resamples: int = 0

    @property
    def prompt(self) -> list[dict[str, Any]]:
        return prompt_of(self.example)

    @property
    def example_name(self) -> str:
        """The file and line of the example where they are known, else its number in the split."""
        return str(self.example.get("where") or f"example {self.example_index + 1}")

    @property
    def has_equal_rewards(self) -> bool:
        """Whether all answers with a score have the same one, so that group-relative advantages are 0."""
        return len({score for score in self.rewards.scores if score is not None}) < 2

    def reward_request(self) -> RewardRequest:
        return RewardRequest(self.prompt, [answer.text for answer in self.answers], self.example, self.example_name)

    def row(self, selected: Sequence[int], values: Mapping[str, float]) -> Row:
        """The prompt with the answers of those indices as a row to train on; a single masked token without any."""
        if not selected:
            return Row((TokenSequence(self.prompt_ids[:1], np.zeros(1, np.float32)),), values)
        return row_with_shared_prefix([self._sequence(self.answers[index]) for index in selected], values)

    def _sequence(self, answer: Answer) -> TokenSequence:
        ids = np.concatenate([self.prompt_ids, np.array(answer.ids, dtype=np.int32)])
        weights = np.zeros(len(ids), dtype=np.float32)
        weights[len(self.prompt_ids) :] = 1
        return TokenSequence(ids, weights)
