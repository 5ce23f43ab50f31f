"""validations.jsonl: a line for each validation of a training, and which of them was the best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from luthier.disk.writing import write_text
from luthier.records.events import as_line
from luthier.reporting.figures import title

HELD_OUT_LOSS = "validation_loss"
"""What a method calls its loss on the validation split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """What one validation measured.

    `monitor` names the value that decides which checkpoint is the best and when the training stops: validation_loss, or
    the recipe's score, measured on the validation split. `kept` says that the checkpoint stays while it is the best.
    """

    step: int
    monitor: str
    value: float
    better: str = "lower"
    kept: bool = False
    measured: dict[str, float] = field(default_factory=dict)

    @property
    def line(self) -> dict[str, Any]:
        """As validations.jsonl has it."""
        return {"step": self.step, **self.measured, "monitor": self.monitor, "value": self.value, "better": self.better}

    @property
    def as_dict(self) -> dict[str, Any]:
        """Plain values, from which `ValidationResult(**…)` makes it again."""
        return asdict(self)


def gain(new: float, old: float, better: str) -> float:
    """By how much a value is better than another; NaN where one of them is."""
    return new - old if better == "higher" else old - new


def comparable(results: Sequence[ValidationResult]) -> list[ValidationResult]:
    """Those of the value that is monitored now: a run that is resumed may monitor another one than it began with."""
    return [one for one in results if one.monitor == results[-1].monitor]


def best_of(results: Iterable[ValidationResult]) -> ValidationResult | None:
    """The best finite value, the earlier one where two are equal."""
    best: ValidationResult | None = None
    for one in results:
        if math.isfinite(one.value) and (best is None or gain(one.value, best.value, one.better) > 0):
            best = one
    return best


def words(monitor: str) -> str:
    """A monitored value as a person would name it."""
    if monitor == HELD_OUT_LOSS:
        return "held-out loss"
    return title(monitor) if monitor.startswith("general_") else f"{title(monitor)} on the validation split"


def write(file: Path, results: Iterable[ValidationResult]) -> None:
    """Replace the file by these results, a line each."""
    write_text(file, "".join(as_line(one.line) for one in results))
