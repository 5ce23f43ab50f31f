"""Curves thinned to what a picture can show, and smoothed for the eye."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from luthier.reporting.record import Points

MOST_POINTS = 240
ROUGH = 0.01


def thinned(points: Points, most: int = MOST_POINTS) -> Points:
    """At most `most` points: the mean of the finite values of each run of steps, at the last step of the run."""
    if len(points) <= most:
        return points
    groups = groupby(enumerate(points), key=lambda numbered: numbered[0] * most // len(points))
    return [_middle([point for _, point in group]) for _, group in groups]


def _middle(points: Points) -> tuple[int, float | None]:
    values = [value for _, value in finite(points)]
    return points[-1][0], sum(values) / len(values) if values else None


def smoothed(points: Points, half_life: float = 8.0) -> Points:
    """The mean of an exponential moving average from either side, which lags behind nothing; gaps stay gaps."""
    values = [value for _, value in finite(points)]
    forward, backward = _averages(values, half_life), _averages(values[::-1], half_life)[::-1]
    middle = iter((one + other) / 2 for one, other in zip(forward, backward, strict=True))
    return [(step, None if value is None else next(middle)) for step, value in points]


def _averages(values: list[float], half_life: float) -> list[float]:
    keep, total, weight, result = 0.5 ** (1 / half_life), 0.0, 0.0, []
    for value in values:
        total, weight = keep * total + value, keep * weight + 1
        result.append(total / weight)
    return result


def is_noisy(points: Points) -> bool:
    """Whether neighbours differ so much that the course is hard to see: by bends of 1 % of the range on average."""
    values = [value for _, value in finite(points)]
    bends = [abs(a - 2 * b + c) for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    return len(bends) > 20 and sum(bends) / len(bends) > ROUGH * (max(values) - min(values))


def finite(points: Iterable[tuple[int, float | None]]) -> list[tuple[int, float]]:
    """The points that have a value."""
    return [(step, value) for step, value in points if value is not None]
