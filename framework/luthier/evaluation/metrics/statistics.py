"""The statistics of a metric, checked: a plugin's may give anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luthier.errors import PluginError
from luthier.evaluation.bootstrap import Floats
from luthier.evaluation.metrics.metric import Attempt, Metric
from luthier.plugins.answered import answer_of
from luthier.plugins.blame import place_of
from luthier.plugins.returned import misreturned


def statistics_of(metric: Metric, attempts: Sequence[Attempt]) -> Floats:
    """The statistics of a metric, [attempts, s]; PluginError where it gives something else, or is not of a kind."""
    _refuse_unknown_direction(metric.better, metric)
    found = metric.statistics(attempts)
    if not isinstance(found, np.ndarray) or found.ndim != 2 or len(found) != len(attempts):
        shown = f"an array of shape {list(found.shape)}" if isinstance(found, np.ndarray) else ""
        raise misreturned(metric.statistics, f"a float64 array [{len(attempts)}, s]", found, shown=shown)
    found = found.astype(np.float64, copy=False)
    values = metric.reduce(np.stack([found.sum(0)] * 2))
    if np.shape(values) != (2,):  # or every resample of the bootstrap has one value, and the interval no width
        raise misreturned(metric.reduce, "a value for each of totals [2, s]", values)
    return found


def _refuse_unknown_direction(better: str, metric: Metric) -> None:
    """PluginError where a metric says neither of the two: a comparison would take what is better for worse."""
    if better not in ("higher", "lower"):
        answer, place = answer_of(type(metric)), place_of(metric)
        raise PluginError(
            f"{answer}{': ' if answer else ''}{place} has better = {better!r}, and must have 'higher' or 'lower'."
        )
