"""Similarity with the reference by an evaluation metric, as a reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.api import Attempt, Messages, Metric
from luthier_reward.rewards.reading import ColumnReward, question, reference


class Similarity(ColumnReward):
    """An evaluation metric of a single answer, divided by its maximum `out_of`: 1 for ROUGE-L, 100 for chrF."""

    def __init__(self, *, metric: Metric, out_of: float = 1.0, column: str | None = None) -> None:
        self.metric, self.out_of, self.column = metric, out_of, column

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        prompt_text, expected = question(prompt), reference(example, self.column)
        return [self._score(Attempt(prompt_text, answer, expected)) for answer in answers]

    def _score(self, attempt: Attempt) -> float:
        return float(self.metric.reduce(self.metric.statistics([attempt]).sum(0))) / self.out_of
