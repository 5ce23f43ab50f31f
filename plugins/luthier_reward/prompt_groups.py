"""A prompt, the answers that the model wrote to it, and what the reward said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.api import Answer, Example, RewardResult, Row, TokenSequence, prompt_of, row_with_shared_prefix
from luthier_reward.reward_runner import Asked


@dataclass(slots=True)
class Group:
    """`ids` are the prompt's tokens, `number` the index of its example; `tries` counts how often it was exchanged."""

    ids: NDArray[np.int32]
    number: int
    example: Example
    answers: list[Answer] = field(default_factory=list)
    judged: RewardResult = field(default_factory=lambda: RewardResult([]))
    tries: int = 0

    @property
    def prompt(self) -> list[dict[str, Any]]:
        return prompt_of(self.example)

    @property
    def where(self) -> str:
        return str(self.example.get("where") or f"example {self.number + 1}")

    @property
    def alike(self) -> bool:
        """Whether nothing can be learnt from comparing the answers: all that have a reward have the same."""
        scores = {score for score in self.judged.scores if score is not None}
        return len(scores) < 2

    def asked(self) -> Asked:
        return Asked(self.prompt, [answer.text for answer in self.answers], self.example, self.where)

    def row(self, chosen: Sequence[int], values: Mapping[str, float]) -> Row:
        """The prompt with the answers of those numbers, as it is trained on; without one, next to nothing."""
        if not chosen:
            return Row((TokenSequence(self.ids[:1], np.zeros(1, np.float32)),), values)
        return row_with_shared_prefix([self._sequence(self.answers[number]) for number in chosen], values)

    def _sequence(self, answer: Answer) -> TokenSequence:
        ids = np.concatenate([self.ids, np.array(answer.ids, dtype=np.int32)])
        weights = np.zeros(len(ids), dtype=np.float32)
        weights[len(self.ids) :] = 1
        return TokenSequence(ids, weights)
