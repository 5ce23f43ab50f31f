"""The results of a run in sentences, computed from the record; none claims more than its interval allows."""

from __future__ import annotations

from luthier.contracts.scores import FEWEST_PAIRS
from luthier.reporting.figures import format_interval, format_number, format_signed, title
from luthier.reporting.record import RunRecord, ScoreComparison

MATTERS_LEAST = ("loss", "perplexity", "general_loss", "general_perplexity")


def headlines(record: RunRecord, most: int = 3) -> list[ScoreComparison]:
    """The comparisons to show first: the task's scores, held-out loss, forgetting. Perplexity repeats the loss."""
    paired = [comparison for comparison in record.comparisons if comparison.change is not None]
    by_name = {comparison.name: comparison for comparison in paired}
    task = [c for c in paired if c.name not in MATTERS_LEAST and "/" not in c.name]
    others = [by_name[name] for name in ("loss", "general_loss") if name in by_name]
    return [*task[: most - len(others)], *others]


def sentence(comparison: ScoreComparison, confidence: float) -> str:
    """`Accuracy rose from 0.550 to 0.862 (…).` or that no change can be told from chance."""
    before, after, change = comparison.before, comparison.after, comparison.change
    assert before is not None
    assert after is not None
    assert change is not None
    name = title(comparison.name)
    name = name[0].upper() + name[1:]
    span = format_interval(change, sign=True)
    figures = f"{format_signed(change.value)}, {percent(confidence)} interval {span}, n = {change.count:,}"
    if comparison.verdict == "not distinguishable":
        values = f"{format_number(before.value)} before, {format_number(after.value)} after"
        conclusion = "too few examples to tell" if change.count < FEWEST_PAIRS else "not distinguishable from no change"
        return f"{name}: {values}, {conclusion} ({figures})."
    moved = "rose" if change.value > 0 else "fell"
    return f"{name} {moved} from {format_number(before.value)} to {format_number(after.value)} ({figures})."


def percent(confidence: float) -> str:
    return f"{100 * confidence:g} %"


def forgetting(record: RunRecord) -> str:
    """What the change of loss on general text means, or nothing where it was not measured."""
    change = next((c for c in record.comparisons if c.name == "general_loss" and c.change is not None), None)
    if change is None:
        return ""
    return {
        "worse": "The model predicts general text less well than before: it has forgotten something.",
        "better": "The model predicts general text better than before: nothing is forgotten by this measure.",
    }.get(change.verdict, "The model predicts general text as well as before, as far as this sample can tell.")
