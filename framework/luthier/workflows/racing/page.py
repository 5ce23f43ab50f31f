"""The report of a race: one file, no script, nothing fetched."""

from __future__ import annotations

from pathlib import Path

from luthier.reporting.links import report_of
from luthier.reporting.template import environment, style
from luthier.workflows.racing.outcome import Outcome


def page(outcome: Outcome, folder: Path) -> str:
    """The whole page, as it lies in `folder`: links lead from there to the reports of the runs."""
    return (
        environment("luthier.workflows.racing")
        .get_template("race.html.j2")
        .render(
            outcome=outcome,
            links={run: report_of(run, folder) for row in outcome.rows for run in row.runs},
            **style(("luthier.reporting", "page.css"), ("luthier.workflows.comparison", "comparison.css")),
        )
    )
