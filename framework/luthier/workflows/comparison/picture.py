"""Where the ink of quality against cost goes: a point for each contender, a line for its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from luthier.reporting.chart import ticks
from luthier.reporting.figures import format_number, title
from luthier.workflows.comparison.results import Comparison

WIDTH, HEIGHT = 460, 270
LEFT, RIGHT, TOP, BOTTOM = 56, 440, 16, 226
INSET = 26
WIDE = 12.0
"""Costs that differ by more than this factor stand on a logarithmic axis."""
CLOSE = 13.0
LETTER, LONGEST_NAME = 7.0, 26
ROUND = [
    *(step * 10.0**power for power in range(-5, 1) for step in (1, 2, 5)),
    *(10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 18000, 36000, 86400, 172800, 432000),
]
"""Seconds that read well on a logarithmic axis."""
MOST_TICKS = 5


@dataclass(frozen=True, slots=True)
class Point:
    """A contender in pixels: where it is, how far its interval reaches, and where its name stands."""

    name: str
    standing: str  # best, not distinguishable (from it), worse
    x: float
    y: float
    low: float
    high: float
    label_x: float
    label_y: float
    anchor: str

    @property
    def reach(self) -> tuple[float, float]:
        """Where the name begins and ends, about."""
        width = LETTER * min(len(self.name), LONGEST_NAME)
        return (self.label_x, self.label_x + width) if self.anchor == "start" else (self.label_x - width, self.label_x)


@dataclass(frozen=True, slots=True)
class Picture:
    """One panel: points, ticks in pixels with their labels, and a sentence for those who do not see it."""

    title: str
    x_title: str
    y_title: str
    points: list[Point]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    sentence: str


def pictures(comparison: Comparison) -> list[Picture]:
    """Quality against training time and against the time of an answer, for the contenders whose cost is known."""
    costs = {
        "training time": {one.name: one.training["seconds"] for one in comparison.finished},
        "time of an answer": {one.name: one.inference.get("seconds") for one in comparison.finished},
    }
    drawn = []
    for what, by_name in costs.items():
        known = {name: cost for name, cost in by_name.items() if cost is not None}
        if comparison.terms.score in comparison.standings and len(known) > 1:
            drawn.append(_picture(comparison, what, known))
    return drawn


def _picture(comparison: Comparison, what: str, costs: dict[str, float]) -> Picture:
    standings = comparison.standings[comparison.terms.score]
    scores = {name: standings.scores[name] for name in costs}
    y_ticks = ticks(min(score.low for score in scores.values()), max(score.high for score in scores.values()), 4)
    bottom, top = y_ticks[0], max(y_ticks[-1], max(score.high for score in scores.values()))
    axis = _Axis(list(costs.values()))

    def y(value: float) -> float:
        return (
            round(BOTTOM - (value - bottom) / (top - bottom) * (BOTTOM - TOP), 1)
            if top > bottom
            else (TOP + BOTTOM) / 2
        )

    points: list[Point] = []
    for name, cost in sorted(costs.items(), key=lambda pair: -scores[pair[0]].value):
        score, x = scores[name], axis.place(cost)
        label_x, anchor = (x + 9, "start") if x < (LEFT + RIGHT) / 2 else (x - 9, "end")
        middle = y(score.value)
        point = Point(
            name, standings.against_best(name), x, middle, y(score.low), y(score.high), label_x, middle + 4, anchor
        )
        points.append(_free(point, points))
    costs_text = "; ".join(
        f"{name} {format_number(scores[name].value)} at {_time(cost)}" for name, cost in costs.items()
    )
    return Picture(
        f"{title(standings.name)} against {what}",
        what,
        f"{title(standings.name)} ({standings.better} is better)",
        points,
        axis.ticks(),
        [(y(tick), f"{tick:g}") for tick in y_ticks],
        f"{title(standings.name)} against {what}: {costs_text}.",
    )


class _Axis:
    """Costs in seconds from left to right: straight, or logarithmic where they differ much, nothing (0) by itself."""

    def __init__(self, costs: Sequence[float]) -> None:
        some = [cost for cost in costs if cost > 0] or [1.0]
        self.low, self.high = min(some), max(some)
        self.logarithmic = self.high > WIDE * self.low
        self.nothing = min(costs) <= 0
        self.start = LEFT + INSET + (70 if self.nothing and self.logarithmic else 0)

    def place(self, cost: float) -> float:
        if self.logarithmic:
            share = math.log(cost / self.low) / math.log(self.high / self.low) if cost > 0 else None
        else:
            share = cost / self.high
        return LEFT + INSET if share is None else round(self.start + share * (RIGHT - INSET - self.start), 1)

    def ticks(self) -> list[tuple[float, str]]:
        if not self.logarithmic:
            return [(self.place(tick), _time(tick)) for tick in ticks(0, self.high, 4) if tick <= self.high]
        round_ones = [time for time in ROUND if self.low <= time <= self.high] or [self.low, self.high]
        values = round_ones[:: math.ceil(len(round_ones) / MOST_TICKS)]
        return [*([(self.place(0), "none")] if self.nothing else []), *((self.place(v), _time(v)) for v in values)]


def _free(point: Point, others: Sequence[Point]) -> Point:
    """With its name moved down until it lies on no other."""
    while any(abs(point.label_y - one.label_y) < CLOSE and _beside(point, one) for one in others):
        point = replace(point, label_y=point.label_y + 2)
    return point


def _beside(one: Point, other: Point) -> bool:
    """Whether two names would share ink if they stood at one height."""
    (left, right), (other_left, other_right) = one.reach, other.reach
    return left < other_right and other_left < right


def _time(seconds: float) -> str:
    if seconds >= 60:
        return f"{seconds / 3600:.3g} h" if seconds >= 3600 else f"{seconds / 60:.3g} min"
    if seconds == 0:
        return "0"
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
