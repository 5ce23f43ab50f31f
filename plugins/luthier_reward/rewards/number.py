"""Equality of the final number or formula with that of the reference, as a reward."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.api import Messages, Needs
from luthier_reward.rewards.reading import ColumnReward, reference


class Number(ColumnReward):
    """1 for an answer whose final result equals that of the reference, as math-verify parses and compares them, else 0.

    The result of a reference follows `marker`, as in GSM8K; without it all of the reference is parsed. Of an answer the
    last result counts. ValueError where the reference has none, which is a fault of the example, not of the answer.
    """

    needs: ClassVar[Needs] = {"math_verify": "luthier[reward]"}

    def __init__(self, *, marker: str = "####", column: str | None = None) -> None:
        self.marker, self.column = marker, column

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        from math_verify import verify

        text = reference(example, self.column)
        expected = _results(text.rpartition(self.marker)[2] if self.marker else text)
        if not expected:
            raise ValueError(f"the reference {text[-60:]!r} holds no number or formula")
        return [float(verify(expected, _results(answer), timeout_seconds=None)) for answer in answers]

    def warm_up(self) -> None:
        _results("1")

    def formed(self, answer: str) -> bool:
        return bool(_results(answer))


def _results(text: str) -> list[Any]:
    """Without math-verify's time limits, which need the main thread; the reward's process has one."""
    from math_verify import parse

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that it has no time limit
    results: list[Any] = parse(text, parsing_timeout=None)
    return results
