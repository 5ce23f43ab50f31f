"""Several models on the same examples, for the terminal: a block for each score, a line for each model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.reporting.escaping import one_line
from luthier.reporting.figures import format_interval, format_number, format_signed, title
from luthier.reporting.story import percent

if TYPE_CHECKING:
    from luthier.evaluation.side_by_side import SideBySide

LONGEST_NAME = 40


def lines(found: SideBySide) -> str:
    """What was measured, in at most 80 columns; the true minus sign, which not every code page has, is a hyphen."""
    return "\n".join(_lines(found)).replace("−", "-")


def _lines(found: SideBySide) -> Iterator[str]:
    changes = found.changes()
    names = {name: _short(name) for name in found.scores}
    width = max(map(len, names.values()))
    scores = list(dict.fromkeys(score for of_model in found.scores.values() for score in of_model))
    for score in scores:
        measured = {name: of_model[score] for name, of_model in found.scores.items() if score in of_model.measurements}
        first = next(iter(measured.values()))
        yield f"{title(score)} ({first.better} is better, n = {first.count:,})"
        for name, value in measured.items():
            change = changes.get(name, {}).get(score)
            yield f"  {names[name]:<{width}}  {format_number(value.value):>7}  {format_interval(value)}"
            if change is not None:
                told = f"{format_signed(change.change.value)} ({format_interval(change.change, sign=True)})"
                yield f"  {'':<{width}}  {change.verdict}: {told}"
        yield ""
    confidence = percent(next(iter(found.scores.values())).bootstrap.confidence)
    yield f"Ranges: {confidence} bootstrap intervals over examples."
    if changes:
        yield f"Verdicts: the paired difference from {next(iter(names.values()))}."


def _short(name: str) -> str:
    """A name's end, which tells runs apart."""
    plain = one_line(name)
    return plain if len(plain) <= LONGEST_NAME else "..." + plain[3 - LONGEST_NAME :]
