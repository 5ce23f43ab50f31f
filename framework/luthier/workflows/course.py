"""How a training went on held-out data, in sentences and in facts: where it stopped, which checkpoint is the best."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from luthier.records.validations import HELD_OUT_LOSS, ValidationResult, best_of, comparable, words
from luthier.reporting.figures import format_number

if TYPE_CHECKING:
    from luthier.training.trainer import TrainingEnd

SCORE = "validation_score"
"""What the curve of the monitored score is called."""


def sentences(end: TrainingEnd) -> Iterator[str]:
    """What a user sees when the training is over; nothing where it went through and the last step is kept."""
    if end.stopped:
        yield f"stopped after step {end.step} of {end.steps}: {end.stopped}"
    if end.best is not None:
        yield f"kept {kept(end.best, end.results[-1])}"


def kept(best: ValidationResult, last: ValidationResult) -> str:
    """Which step is kept and its value, beside that of the last."""
    value = f"{words(best.monitor)} {format_number(best.value)}"
    if best.step == last.step:
        return f"step {best.step}, the last one: {value}"
    return f"step {best.step}: {value}; {format_number(last.value)} at the last step, {last.step}"


def warnings(end: TrainingEnd, *, keep_best: bool, judged_by_others: bool) -> Iterator[str]:
    """What a reader of the report must not miss; `judged_by_others`: no held-out example that chose also measures."""
    if end.results and keep_best and end.best is None:
        yield "No validation gave a finite value: the artifact is the last checkpoint, not a best one."
    among = [one for one in end.results if one.kept and one.monitor == end.results[-1].monitor]
    if end.best is not None and len(among) < len(end.results):
        yield (
            f"The best checkpoint was chosen among the validations from step {among[0].step} on: before, another value "
            "was monitored, or the best was not kept."
        )
    if end.best is not None and not judged_by_others:
        yield "The best checkpoint was chosen on the examples that it is measured on: there is no test split."
    best = best_of(comparable(end.results)) if end.results else None
    if end.stopped and not keep_best:
        other = f", while step {best.step} was the best (trainer.keep_best=true keeps it)" if best else ""
        if best is None or best.step != end.step:
            yield f"The training was stopped, and the artifact has the weights of its last step, {end.step}{other}."


def facts(end: TrainingEnd) -> dict[str, Any]:
    """Fields of the record's `TrainingFacts`."""
    last, best = end.results[-1] if end.results else None, end.best
    return {
        "stopped": f"after step {end.step} of {end.steps}: {end.stopped}" if end.stopped else "",
        "validations": len(end.results) or None,
        "monitor": last.monitor if last else "",
        "last_value": last.value if last else None,
        "best_step": best.step if best else None,
        "best_value": best.value if best else None,
        "kept": kept(best, last) if best and last else "",
    }


def curves(end: TrainingEnd) -> dict[str, list[tuple[int, float | None]]]:
    """What was measured on held-out data, by step."""
    found: dict[str, list[tuple[int, float | None]]] = {}
    for one in end.results:
        scored = {} if one.monitor == HELD_OUT_LOSS else {SCORE: one.value}
        for name, value in {**one.measured, **scored}.items():
            found.setdefault(name, []).append((one.step, value if abs(value) < float("inf") else None))
    return found
