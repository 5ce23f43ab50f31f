"""The report of a comparison: one file, no script, nothing fetched, every figure with a link to its run."""

from __future__ import annotations

from pathlib import Path

from luthier.contracts.scores import Score
from luthier.reporting import figures
from luthier.reporting.escaping import clipped
from luthier.reporting.links import report_of
from luthier.reporting.story import percent
from luthier.reporting.template import environment, style
from luthier.workflows.comparison import beside, descriptions, picture
from luthier.workflows.comparison.results import Comparison

MOST_NAMES = 4


def page(comparison: Comparison, folder: Path) -> str:
    """The whole page, as it lies in `folder`: links lead from there to the reports of the runs."""
    filled = environment("luthier.workflows.comparison")
    filled.filters |= {"clipped": clipped, "change": _change}
    finished = comparison.finished
    scores = comparison.standings
    facts = {one.name: descriptions.facts(one) for one in finished}
    names = [one.name for one in comparison.results]
    return filled.get_template("comparison.html.j2").render(
        comparison=comparison,
        names=" · ".join(names[:MOST_NAMES])
        + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""),
        **style(("luthier.reporting", "page.css"), ("luthier.workflows.comparison", "comparison.css")),
        links={run: report_of(run, folder) for one in finished for run in one.runs},
        main=scores.get(comparison.terms.score),
        others=list(scores.values()),
        sentences=descriptions.sentences(comparison),
        warnings=comparison.warnings(),
        descriptions=descriptions,
        facts=facts,
        costs=list(dict.fromkeys(name for of_contender in facts.values() for name in of_contender)),
        prompts=max((one.inference.get("answers", 0) for one in finished), default=0),
        devices=", ".join(sorted({one.inference["device"] for one in finished if "device" in one.inference})),
        pictures=picture.pictures(comparison),
        picture=picture,
        head=beside.HEAD,
        note=beside.NOTE,
        besides=[(report_of(one.folder, folder), one.row) for one in comparison.beside],
        level=percent(comparison.confidence),
    )


def _change(change: Score) -> str:
    return f"{figures.format_signed(change.value)} ({figures.format_interval(change, sign=True)})"
