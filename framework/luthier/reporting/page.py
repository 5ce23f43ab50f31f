"""report.html: one file, no script, nothing fetched, whatever the run's data say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import islice
from typing import Any

from luthier.reporting import bars, chart, figures, story, whiskers
from luthier.reporting.escaping import clipped
from luthier.reporting.facts import facts
from luthier.reporting.record import RecordedLedger, RunRecord
from luthier.reporting.template import environment, style

MOST_BYTES = 300_000
MOST = {
    "comparisons": 40, "charts": 12, "samples": 8, "messages": 8, "sources": 40, "tokens": 400, "warnings": 20,
    "versions": 60, "rows": 40, "columns": 12, "experts": 40, "sections": 12,
    "paragraphs": 20,
}  # fmt: skip
"""How many of each the page shows."""
TEXT_LENGTHS = (2000, 800, 300, 100, 30)
"""How many characters of a text it shows: as many as fit; of a recipe, ten times as many."""


def page(record: RunRecord) -> str:
    """The whole page, smaller than `MOST_BYTES`. What it leaves out or cuts, it says."""
    pages = (_page(record, length) for length in TEXT_LENGTHS)
    return next((text for text in pages if len(text.encode()) < MOST_BYTES), _page(record, TEXT_LENGTHS[-1]))


def _page(record: RunRecord, length: int) -> str:
    filled = environment("luthier.reporting")
    filled.filters |= {
        "percent": story.percent, "whiskers": whiskers.whiskers,
        "shown": _shown_answer, "short": partial(clipped, most=length), "long": partial(clipped, most=10 * length),
    }  # fmt: skip
    return filled.get_template("page.html.j2").render(
        run=record,
        **style(("luthier.reporting", "page.css")),
        sections=_sections(record),
        took=figures.duration(record.seconds) if record.seconds is not None else "",
        headlines=story.headlines(record),
        forgetting=story.forgetting(record),
        without_spread=any(s and s.low == s.high for c in record.comparisons for s in (c.before, c.after)),
        facts=facts(record),
        charts=chart.charts(record.curves),
        chart=chart,
        whisker=whiskers,
        bars=bars,
        count_names=_first(list(dict.fromkeys(name for source in record.data for name in source.counts)), "columns"),
        ledger_totals=_totals(record.ledger),
        most=MOST,
        first=_first,
    )


def _shown_answer(text: str) -> str:
    """A generated answer without surrounding white space; says so where it is empty."""
    return text.strip() or ("(nothing but white space)" if text else "(nothing)")


def _sections(record: RunRecord) -> dict[str, str]:
    """Anchor and heading of each section that has something to say."""
    sections = {
        "result": ("Before and after", record.comparisons),
        "samples": ("In its own words", record.samples),
        "training": ("Training", facts(record) or record.curves),
        "experts": ("Experts", record.experts),
        "data": ("Data", record.data or record.splits or record.evaluated),
        "ledger": ("What the loss saw", record.ledger.tokens),
        **{f"section-{number}": (one.title, one) for number, one in enumerate(record.sections[: MOST["sections"]])},
        "recipe": ("Recipe", record.command or record.answers or record.resolved),
        "next": ("What next", record.next_commands),
        "versions": ("Versions", record.versions or record.commit),
    }
    return {anchor: heading for anchor, (heading, content) in sections.items() if content}


def _first(items: Iterable[Any] | Mapping[str, Any], name: str) -> list[Any]:
    """The first items of a list, or pairs of a mapping, as many as the page shows of `name`."""
    pairs: Iterable[Any] = items.items() if isinstance(items, Mapping) else items
    return list(islice(pairs, MOST[name]))


def _totals(ledger: RecordedLedger) -> list[tuple[str, int, int]]:
    """(role, tokens, tokens with a weight) in the order of first appearance."""
    totals: dict[str, list[int]] = {}
    for token in ledger.tokens:
        of_role = totals.setdefault(token.role or "template", [0, 0])
        of_role[0] += 1
        of_role[1] += token.weight > 0
    return [(role, tokens, trained) for role, (tokens, trained) in totals.items()]
