"""Does the answer keep to instructions that a rule can check?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from luthier.api import DataError, Messages, RecipeError, nearest
from luthier_reward.rewards.checks import CHECKS


class InstructionChecks:
    """The share of instructions that an answer keeps to; with `all_or_nothing` 1 for all of them, else 0.

    `checks` hold for every example, `{most_words: 50, no_commas: true}`; the column `column` of an example, where it
    has one, adds its own in the same form (`luthier_reward.rewards.checks` has what can be checked).
    """

    def __init__(
        self, *, checks: dict[str, Any] | None = None, column: str | None = "checks", all_or_nothing: bool = False
    ) -> None:
        self.checks, self.column, self.all_or_nothing = dict(checks or {}), column, all_or_nothing
        if unknown := [name for name in self.checks if name not in CHECKS]:
            raise RecipeError(
                f"There is no check {unknown[0]!r}.",
                where="method.reward.checks",
                hint=nearest(unknown[0], CHECKS, "There are"),
            )

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        wanted = {**self.checks, **self._own(example)}
        if not wanted:
            raise DataError("The example says nothing to check, and the recipe neither.", where="method.reward.checks")
        kept = [[bool(CHECKS[name](answer, value)) for name, value in wanted.items()] for answer in answers]
        return [float(all(each)) if self.all_or_nothing else sum(each) / len(each) for each in kept]

    def _own(self, example: Mapping[str, Any]) -> Mapping[str, Any]:
        found = example.get(self.column) if self.column else None
        found = json.loads(found) if isinstance(found, str) else found or {}
        if unknown := [name for name in found if name not in CHECKS]:
            raise DataError(f"There is no check {unknown[0]!r}.", hint=nearest(unknown[0], CHECKS, "There are"))
        own: Mapping[str, Any] = found
        return own
