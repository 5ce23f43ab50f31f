"""The report of a sweep: one file, no script, nothing fetched; parallel coordinates, importance, curves, trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from luthier.reporting.template import environment, style
from luthier.workflows.sweeps.report import SweepReport

WIDTH, HEIGHT, INSET, TOP, BOTTOM = 760, 260, 60, 24, 220
CURVES = 200


@dataclass(frozen=True)
class Axis:
    """A setting or an objective: where it stands, and what its ends are called."""

    name: str
    x: float
    low: str
    high: str


@dataclass(frozen=True)
class Line:
    """A trial as points in pixels."""

    number: int
    points: str
    best: bool


def page(report: SweepReport) -> str:
    """The whole page."""
    axes, lines = coordinates(report)
    return (
        environment("luthier.workflows.sweeps")
        .get_template("sweep.html.j2")
        .render(
            report=report,
            axes=axes,
            lines=lines,
            curves=curves(report),
            box={"width": WIDTH, "height": HEIGHT, "top": TOP, "bottom": BOTTOM},
            **style(("luthier.reporting", "page.css"), ("luthier.workflows.sweeps", "sweep.css")),
        )
    )


def coordinates(report: SweepReport) -> tuple[list[Axis], list[Line]]:
    """Parallel coordinates of the finished trials: their settings, then their objectives."""
    done = report.of_state("finished")
    names = list(dict.fromkeys(key for trial in done for key in trial.params))
    columns = {name: [trial.params.get(name) for trial in done] for name in names}
    columns |= {name: [trial.values[place] for trial in done] for place, name in enumerate(report.objectives)}
    step = (WIDTH - 2 * INSET) / max(1, len(columns) - 1)
    axes, heights = [], []
    for place, (name, values) in enumerate(columns.items()):
        ends, ys = _heights(values)
        axes.append(Axis(name, round(INSET + place * step, 1), *ends))
        heights.append(ys)
    lines = []
    for number, trial in enumerate(done):
        there = [(axis.x, ys[number]) for axis, ys in zip(axes, heights, strict=True) if ys[number] is not None]
        points = " ".join(f"{x},{y}" for x, y in there)
        lines.append(Line(trial.number, points, trial.number in report.best))
    return axes, sorted(lines, key=lambda line: line.best)


def curves(report: SweepReport) -> list[Line]:
    """What was measured on the way, of each trial that did."""
    with_curve = [trial for trial in report.trials if trial.curve][:CURVES]
    values = [value for trial in with_curve for value in trial.curve.values()]
    steps = [step for trial in with_curve for step in trial.curve]
    found = []
    for trial in with_curve:
        points = " ".join(
            f"{_place(step, min(steps), max(steps), INSET, WIDTH - INSET)},"
            f"{_place(value, min(values), max(values), BOTTOM, TOP)}"
            for step, value in sorted(trial.curve.items())
        )
        found.append(Line(trial.number, points, trial.number in report.best))
    return sorted(found, key=lambda line: line.best)


def _heights(values: Sequence[Any]) -> tuple[tuple[str, str], list[float | None]]:
    """The names of the ends of an axis, and where each value is on it; None for one that is not there."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, int | float) for value in known):
        low, high = min(known, default=0), max(known, default=0)
        return (f"{low:.4g}", f"{high:.4g}"), [
            None if value is None else _place(value, low, high, BOTTOM, TOP) for value in values
        ]
    order = sorted(set(map(str, known)))
    return (order[0], order[-1]), [
        None if value is None else _place(order.index(str(value)), 0, len(order) - 1, BOTTOM, TOP) for value in values
    ]


def _place(value: float, low: float, high: float, start: float, end: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return round(start + share * (end - start), 1)
