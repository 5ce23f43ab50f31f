"""The length of an answer, as a reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.api import Messages, RecipeError


class Length:
    """1 for an answer of `fewest` to `most` words, falling linearly to 0 over `slack` words outside this range."""

    def __init__(self, *, fewest: int = 1, most: int = 100, slack: int = 0) -> None:
        if not 0 <= fewest <= most or slack < 0:
            raise RecipeError(
                f"No answer has {fewest} to {most} words, give or take {slack}.", where="method.reward.fewest"
            )
        self.fewest, self.most, self.slack = fewest, most, slack

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        return [self._score(len(answer.split())) for answer in answers]

    def _score(self, words: int) -> float:
        outside = max(self.fewest - words, words - self.most, 0)
        return max(0.0, 1 - outside / (self.slack + 1))
