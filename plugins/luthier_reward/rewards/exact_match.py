"""Exact match with a reference answer, as a reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.api import Messages, normalised_text
from luthier_reward.rewards.reading import ColumnReward, reference


class ExactMatch(ColumnReward):
    """1 for an answer that equals the reference, else 0; case, punctuation and articles are ignored, as in evaluation.

    With `normalise=false` only white space at the ends is. The reference is the example's answer, or `column`.
    """

    def __init__(self, *, normalise: bool = True, column: str | None = None) -> None:
        self.form, self.column = normalised_text if normalise else str.strip, column

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        wanted = self.form(reference(example, self.column))
        return [float(self.form(answer) == wanted) for answer in answers]
