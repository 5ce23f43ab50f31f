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


def lines(results: SideBySide) -> str:
    """The results in at most 80 columns; the minus sign is written as a hyphen, which every code page has."""
    return "\n".join(_lines(results)).replace("−", "-")


def _lines(results: SideBySide) -> Iterator[str]:
    changes = results.changes()
    names = {name: _short(name) for name in results.scores}
    width = max(map(len, names.values()))
    scores = list(dict.fromkeys(score for of_model in results.scores.values() for score in of_model))
    for score in scores:
        measured = {
            name: of_model[score] for name, of_model in results.scores.items() if score in of_model.measurements
        }
        first = next(iter(measured.values()))
        yield f"{title(score)} ({first.better} is better, n = {first.count:,})"
        for name, value in measured.items():
            change = changes.get(name, {}).get(score)
            yield f"  {names[name]:<{width}}  {format_number(value.value):>7}  {format_interval(value)}"
            if change is not None:
                change_text = f"{format_signed(change.change.value)} ({format_interval(change.change, sign=True)})"
                yield f"  {'':<{width}}  {change.verdict}: {change_text}"
        yield ""
    confidence = percent(next(iter(results.scores.values())).bootstrap.confidence)
    yield f"Ranges: {confidence} bootstrap intervals over examples."
    if changes:
        yield f"Verdicts: the paired difference from {next(iter(names.values()))}."


def _short(name: str) -> str:
    """A name's end, which tells runs apart."""
    plain = one_line(name)
    return plain if len(plain) <= LONGEST_NAME else "..." + plain[3 - LONGEST_NAME :]
