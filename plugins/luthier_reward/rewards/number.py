"""Does the answer come to the same number or formula as the reference?"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.api import Messages, Needs
from luthier_reward.rewards.reading import reference


class Number:
    """1 for an answer whose final result equals the reference's, as math-verify reads and compares them, else 0.

    What stands behind `marker` in the reference is its result, as in GSM8K, else all of it is read; in an answer the
    last result counts. ValueError where the reference holds none: that is a fault of the example, not of the answer.
    """

    needs: ClassVar[Needs] = {"math_verify": "luthier[reward]"}

    def __init__(self, *, marker: str = "####", column: str | None = None) -> None:
        self.marker, self.column = marker, column

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        from math_verify import verify

        said = reference(example, self.column)
        wanted = _results(said.rpartition(self.marker)[2] if self.marker else said)
        if not wanted:
            raise ValueError(f"the reference {said[-60:]!r} holds no number or formula")
        return [float(verify(wanted, _results(answer), timeout_seconds=None)) for answer in answers]

    def warm_up(self) -> None:
        _results("1")

    def formed(self, answer: str) -> bool:
        return bool(_results(answer))


def _results(text: str) -> list[Any]:
    """Without math-verify's own time limits, which need a main thread; a reward's process has one of its own."""
    from math_verify import parse

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that it keeps no time, which others do
    found: list[Any] = parse(text, parsing_timeout=None)
    return found
