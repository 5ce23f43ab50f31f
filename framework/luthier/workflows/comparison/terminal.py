"""The end of a comparison on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from luthier.reporting.figures import format_number, title
from luthier.reporting.story import percent
from luthier.workflows.comparison import beside, descriptions
from luthier.workflows.comparison.results import Comparison

Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]


def lines(comparison: Comparison, table: Table) -> str:
    """Sentences, and a row for each contender; the true minus sign, which not every code page has, is a hyphen."""
    standings = comparison.standings.get(comparison.terms.score)
    rows = []
    for one in comparison.finished:
        score = format_number(standings.scores[one.name].value) if standings else "-"
        verdict = descriptions.VERDICTS[standings.against_best(one.name)] if standings else ""
        rows.append(
            (
                one.name,
                score,
                verdict,
                descriptions.training(one),
                descriptions.answer(one),
                descriptions.forgetting(one),
            )
        )
    head = ("contender", title(comparison.terms.score), "", "training", "an answer", "forgetting")
    level = percent(comparison.confidence)
    legend = f"~: not distinguishable; the {level} interval of the paired difference holds 0"
    others = [table(beside.HEAD, [one.row for one in comparison.beside]), beside.NOTE] if comparison.beside else []
    text = "\n\n".join(["\n".join(descriptions.sentences(comparison)), table(head, rows), legend, *others])
    return text.replace("−", "-")
