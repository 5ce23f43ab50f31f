"""Does the answer look as it should?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from luthier.api import Messages, RecipeError


class Regex:
    """1 for an answer in which the pattern is found, 0 for another; with `whole` it must be all of the answer."""

    def __init__(self, *, pattern: str, whole: bool = False) -> None:
        try:
            self.pattern = re.compile(pattern, re.DOTALL)
        except re.error as error:
            raise RecipeError(f"{pattern!r} is no pattern: {error}.", where="method.reward.pattern") from error
        self.whole = whole

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        return [float(self.formed(answer)) for answer in answers]

    def formed(self, answer: str) -> bool:
        text = answer.strip()
        return bool(self.pattern.fullmatch(text) if self.whole else self.pattern.search(text))
