"""Verifiable instruction following, as a reward."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from luthier.api import DataError, Messages, RecipeError, nearest
from luthier_reward.rewards.checks import CHECKS
from luthier_reward.rewards.reading import ColumnReward

DEFAULT = "checks"
"""The column that an example may have, or not."""


class InstructionChecks(ColumnReward):
    """The share of verifiable instructions that an answer follows; with `all_or_nothing` 1 for all of them, else 0.

    `checks` apply to every example, such as `{most_words: 50, no_commas: true}`; the column `column` of an example, if
    it has one, adds others in the same form. `luthier_reward.rewards.checks` lists the checks.
    """

    def __init__(
        self, *, checks: dict[str, Any] | None = None, column: str | None = DEFAULT, all_or_nothing: bool = False
    ) -> None:
        self.checks, self.column, self.all_or_nothing = dict(checks or {}), column, all_or_nothing
        if unknown := [name for name in self.checks if name not in CHECKS]:
            raise RecipeError(
                f"There is no check {unknown[0]!r}.",
                where="method.reward.checks",
                hint=nearest(unknown[0], CHECKS, "There are"),
            )

    @property
    def columns(self) -> list[str]:
        return [] if self.column == DEFAULT else super().columns

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        wanted = {**self.checks, **self._own(example)}
        if not wanted:
            raise DataError("Neither the recipe nor the example has checks.", where="method.reward.checks")
        followed = [[bool(CHECKS[name](answer, value)) for name, value in wanted.items()] for answer in answers]
        return [float(all(checks)) if self.all_or_nothing else sum(checks) / len(checks) for checks in followed]

    def _own(self, example: Mapping[str, Any]) -> Mapping[str, Any]:
        value = example.get(self.column) if self.column else None
        own: Mapping[str, Any] = json.loads(value) if isinstance(value, str) else value or {}
        if unknown := [name for name in own if name not in CHECKS]:
            raise DataError(f"There is no check {unknown[0]!r}.", hint=nearest(unknown[0], CHECKS, "There are"))
        return own
