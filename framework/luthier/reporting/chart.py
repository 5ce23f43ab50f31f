"""Where the ink of a curve goes: numbers to SVG coordinates. The template draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from luthier.reporting.curves import finite, is_noisy, smoothed, thinned
from luthier.reporting.figures import format_number
from luthier.reporting.record import Points

WIDTH, HEIGHT = 460, 210
LEFT, RIGHT, TOP, BOTTOM = 52, 452, 14, 178
TOGETHER: Mapping[str, Sequence[str]] = {"loss": ("loss", "validation_loss")}
FIRST = ("loss", "learning_rate", "gradient_norm", "tokens_per_second")
FEW = 24
"""Up to so many points each of them has a dot."""


@dataclass(frozen=True, slots=True)
class ChartLine:
    """One curve: its class in the style sheet, its path, and single points that no line would show."""

    name: str
    style: str
    path: str
    dots: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture: lines, ticks in pixels with their labels, and a sentence for those who do not see it."""

    title: str
    lines: list[ChartLine]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    sentence: str


def charts(curves: Mapping[str, Points]) -> list[Chart]:
    """A chart for each curve that has a finite value, the known ones first; validation loss joins the loss."""
    joined = {name for group in TOGETHER.values() for name in group[1:] if group[0] in curves}
    names = [*(name for name in FIRST if name in curves), *(name for name in curves if name not in FIRST)]
    groups = [TOGETHER.get(name, (name,)) for name in names if name not in joined and finite(curves[name])]
    return [chart({name: thinned(curves[name]) for name in group if finite(curves.get(name, []))}) for group in groups]


def chart(curves: Mapping[str, Points]) -> Chart:
    """One chart of curves on the same axes."""
    name, main = next(iter(curves.items()))
    every = [point for points in curves.values() for point in finite(points)]
    steps, values = [step for step, _ in every], [value for _, value in every]
    low, high = min(values), max(values)
    low = 0.0 if 0 <= low < high / 2 else low
    y_ticks = ticks(low, high, 4)
    low, high = min(low, y_ticks[0]), max(high, y_ticks[-1])
    x_ticks = [tick for tick in ticks(min(steps), max(steps), 5) if min(steps) <= tick <= max(steps) and tick % 1 == 0]

    def x(step: float) -> float:
        return _scaled(step, min(steps), max(steps), LEFT, RIGHT)

    def y(value: float) -> float:
        return _scaled(value, low, high, BOTTOM, TOP)

    lines = []
    for index, (of, points) in enumerate(curves.items()):
        place = [(x(step), None if value is None else y(value)) for step, value in points]
        style = "second" if index else "first"
        if is_noisy(points):
            average = [(x(step), None if value is None else y(value)) for step, value in smoothed(points)]
            lines += [
                ChartLine("", f"{style} faint", _path(place), []),
                ChartLine(words(of), style, _path(average), []),
            ]
        else:
            dots = [(a, b) for a, b in place if b is not None and len(points) <= FEW]
            lines.append(ChartLine(words(of), style, _path(place), dots))
    return Chart(
        words(name),
        lines,
        [(x(tick), f"{tick:,.0f}") for tick in x_ticks],
        _labelled(y_ticks, y),
        _sentence(name, main),
    )


def words(name: str) -> str:
    return "training loss" if name == "loss" else name.replace("_", " ")


def _sentence(name: str, points: Points) -> str:
    seen = finite(points)
    gaps = len(points) - len(seen)
    lost = f" {gaps} values were not finite." if gaps else ""
    return (
        f"{words(name).capitalize()} from {format_number(seen[0][1])} at step {seen[0][0]:,} "
        f"to {format_number(seen[-1][1])} at step {seen[-1][0]:,}.{lost}"
    )


def _path(points: Sequence[tuple[float, float | None]]) -> str:
    """An SVG path through the points; a gap where a value is missing."""
    commands, drawing = [], False
    for x, y in points:
        if y is not None:
            commands.append(f"{'L' if drawing else 'M'}{x:.1f} {y:.1f}")
        drawing = y is not None
    return "".join(commands)


def _scaled(value: float, low: float, high: float, start: float, end: float) -> float:
    return round(start + (value - low) / (high - low) * (end - start), 1) if high > low else (start + end) / 2


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`, about `most` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def _labelled(ticks: Sequence[float], y: object) -> list[tuple[float, str]]:
    assert callable(y)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(ticks[0]) or 1.0
    largest = max(map(abs, ticks))
    if largest < 0.01:
        return [(y(tick), f"{tick:.1e}".replace(".0e", "e").replace("e-0", "e−") if tick else "0") for tick in ticks]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    decimals += (step * 10**decimals) % 1 > 1e-6
    return [(y(tick), f"{tick:,.{decimals}f}") for tick in ticks]
