"""Two intervals above one another, so that the eye compares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luthier.contracts.scores import Score
from luthier.reporting.record import ScoreComparison

WIDTH, HEIGHT = 200, 34
MARGIN = 8
ROWS = {"before": 11.0, "after": 23.0}


@dataclass(frozen=True, slots=True)
class Whisker:
    """One score's dot and interval in pixels."""

    style: str
    low: float
    value: float
    high: float
    y: float


def whiskers(comparison: ScoreComparison) -> list[Whisker]:
    """The scores before and after on one scale, which is just wide enough for both."""
    scores = {"before": comparison.before, "after": comparison.after}
    known = {style: score for style, score in scores.items() if score is not None}
    low, high = _range(list(known.values()))

    def x(value: float) -> float:
        return round(MARGIN + (value - low) / (high - low) * (WIDTH - 2 * MARGIN), 1)

    return [
        Whisker(style, x(score.low), x(score.value), x(score.high), ROWS[style] if len(known) > 1 else HEIGHT / 2)
        for style, score in known.items()
    ]


def _range(scores: Sequence[Score]) -> tuple[float, float]:
    low, high = min(score.low for score in scores), max(score.high for score in scores)
    return (low, high) if high > low else (low - 1, high + 1)
