"""The end of a comparison on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from luthier.reporting.figures import format_number, title
from luthier.reporting.story import percent
from luthier.workflows.comparison import words as wording
from luthier.workflows.comparison.results import Comparison

Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]


def lines(comparison: Comparison, table: Table) -> str:
    """Sentences, and a row for each contender; the true minus sign, which not every code page has, is a hyphen."""
    found = comparison.standings.get(comparison.terms.score)
    rows = []
    for one in comparison.finished:
        score = format_number(found.scores[one.name].value) if found else "-"
        verdict = wording.VERDICTS[found.against_best(one.name)] if found else ""
        rows.append((one.name, score, verdict, wording.training(one), wording.answer(one), wording.forgetting(one)))
    head = ("contender", title(comparison.terms.score), "", "training", "an answer", "forgetting")
    level = percent(comparison.confidence)
    legend = f"~: not distinguishable; the {level} interval of the paired difference holds 0"
    text = "\n\n".join(["\n".join(wording.sentences(comparison)), table(head, rows), legend])
    return text.replace("−", "-")
