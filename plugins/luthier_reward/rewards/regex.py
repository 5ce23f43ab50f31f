"""A match of a regular expression, as a reward."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from luthier.api import Messages, RecipeError


class Regex:
    """1 for an answer that the pattern matches somewhere, else 0; with `whole` it must match all of the answer.

    White space at the ends of the answer is ignored, and `.` matches line ends, too.
    """

    def __init__(self, *, pattern: str, whole: bool = False) -> None:
        try:
            self.pattern = re.compile(pattern, re.DOTALL)
        except re.error as error:
            raise RecipeError(
                f"{pattern!r} is not a regular expression: {error}.", where="method.reward.pattern"
            ) from error
        self.whole = whole

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        return [float(self.formed(answer)) for answer in answers]

    def formed(self, answer: str) -> bool:
        text = answer.strip()
        return bool(self.pattern.fullmatch(text) if self.whole else self.pattern.search(text))
