"""The metrics of the harness as sums over examples, so that they have intervals and can be paired."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from luthier.api import Attempt, Floats, Metric, RecipeError, ratio
from luthier_harness.task_file import WHERE


@dataclass(frozen=True)
class HarnessMetric(Metric):
    """A metric of the harness, which computes the value of each example; `of` makes statistics of these.

    `weighted` says that the value of an example is a number with its weight.
    """

    better: str
    weighted: bool
    sign: float
    finish: Callable[[Floats], Floats]

    def of(self, values: Sequence[Any]) -> Floats:
        """[examples, 2] from what the harness has for each example."""
        pairs = [value if self.weighted else (value, 1.0) for value in values]
        found: Floats = np.array(pairs, dtype=np.float64).reshape(len(pairs), 2) * np.array([self.sign, 1.0])
        return found

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        """None: the tasks of the harness have examples of their own."""
        return np.zeros((len(attempts), 2))

    def reduce(self, totals: Floats) -> Floats:
        return self.finish(ratio(totals))


def _same(values: Floats) -> Floats:
    return values


def _bits(values: Floats) -> Floats:
    return values / math.log(2)


_KNOWN: Mapping[str, tuple[bool, float, Callable[[Floats], Floats]]] = {
    "mean": (False, 1.0, _same),
    "nanmean": (False, 1.0, _same),
    "perplexity": (False, -1.0, np.exp),
    "weighted_perplexity": (True, -1.0, np.exp),
    "bits_per_byte": (True, -1.0, _bits),
}
"""Aggregations of the harness by name: whether values are weighted, their sign, and what is made of the mean."""


def metric_of(task: Any, metric: str, name: str) -> HarnessMetric:
    """A metric of one of the harness's tasks; RecipeError where its aggregation is no function of a mean."""
    from lm_eval.api.registry import get_aggregation

    aggregation = task._aggregation_list[metric]
    known = next((one for one in _KNOWN if get_aggregation(one) is aggregation), None)
    if known is None:
        raise RecipeError(
            f"The metric {metric} of the task {name} is aggregated by {getattr(aggregation, '__name__', aggregation)}, "
            "which gives the examples no value of their own, and so no interval.",
            where=WHERE,
            hint=f"Choose metrics that are aggregated by {', '.join(_KNOWN)}.",
        )
    weighted, sign, finish = _KNOWN[known]
    return HarnessMetric("higher" if task._higher_is_better[metric] else "lower", weighted, sign, finish)
