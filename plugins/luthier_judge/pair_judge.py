"""A judge as a metric: how often it prefers the model's answer to the reference, whichever of the two comes first."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

from luthier.api import Attempt, Floats, Metric
from luthier_judge.judge_prompt import Verdict

Pair = tuple[str, str, str]
"""A question and two answers in the order in which the judge is shown them."""
COLUMNS = (
    "points", "pairs with a verdict", "preferred in both orders", "reference preferred in both orders",
    "ties in both orders", "verdicts that changed when the answers were swapped", "responses without a verdict",
    "refusals to judge", "responses that preferred what came first", "responses that preferred what came second",
)  # fmt: skip
"""Of the statistics of a pair; the first two are the score's."""


class PairJudge(Metric):
    """The mean of 1 for each answer that is preferred to its reference in both orders, 0 for the opposite, 0.5 between.

    Each pair is judged twice, with the answers swapped, and counts as a tie where the verdicts differ (Zheng et al.,
    NeurIPS 2023, section 3.4), so that a judge that prefers a position gains or loses nothing. A pair without two
    verdicts does not count; what went wrong is counted in the report.
    """

    better = "higher"
    bounded = True

    @abstractmethod
    def verdicts(self, pairs: Sequence[Pair]) -> list[Verdict]:
        """The judge's verdict on each pair."""

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        shown = [(one.question, one.output, one.reference) for one in attempts]
        swapped = [(question, second, first) for question, first, second in shown]
        given = self.verdicts([*shown, *swapped])
        orders = zip(given[: len(shown)], given[len(shown) :], strict=True)
        return np.array([_of_pair(*order) for order in orders], dtype=np.float64).reshape(len(shown), len(COLUMNS))

    def reduce(self, totals: Floats) -> Floats:
        points, pairs = totals[..., 0], totals[..., 1]
        return np.divide(points, pairs, out=np.full_like(points, np.nan), where=pairs != 0)

    def counted(self, totals: Floats) -> Mapping[str, int]:
        """What the judge did, by name, from the sums of the statistics."""
        return {name: int(count) for name, count in zip(COLUMNS[1:], totals[1:], strict=True)}


def _of_pair(shown: Verdict, swapped: Verdict) -> list[float]:
    """The statistics of one pair from the verdict with the model's answer first, and from that with it second."""
    both = (shown, swapped)
    decided = all(one in ("first", "second", "tie") for one in both)
    won, lost, tied = both == ("first", "second"), both == ("second", "first"), both == ("tie", "tie")
    points = 1.0 if won else 0.0 if lost else 0.5
    return [
        points * decided, decided, won, lost, tied, decided and not (won or lost or tied), both.count("none"),
        both.count("refused"), both.count("first"), both.count("second"),
    ]  # fmt: skip
