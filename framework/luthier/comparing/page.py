"""The report of a comparison: one file, no script, nothing fetched, every figure with a link to its run."""

from __future__ import annotations

import base64
import hashlib
import os
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from luthier.comparing import picture, wording
from luthier.comparing.results import Comparison
from luthier.parts import Score
from luthier.report import figures
from luthier.report.inert import clipped, visible
from luthier.report.story import percent
from luthier.runs.folder import RunFolder

MOST_NAMES = 4


def page(comparison: Comparison, folder: Path) -> str:
    """The whole page, as it lies in `folder`: links lead from there to the reports of the runs."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("luthier.comparing"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {
        "number": figures.number, "signed": figures.signed, "interval": figures.interval, "count": figures.count,
        "title": figures.title, "clipped": clipped, "change": _change,
    }  # fmt: skip
    style = "".join(
        resources.files(package).joinpath(f"templates/{name}").read_text("utf-8")
        for package, name in (("luthier.report", "page.css"), ("luthier.comparing", "comparison.css"))
    )
    finished = comparison.finished
    scores = comparison.standings
    facts = {one.name: wording.facts(one) for one in finished}
    names = [one.name for one in comparison.results]
    return environment.get_template("comparison.html.j2").render(
        comparison=comparison,
        names=" · ".join(names[:MOST_NAMES])
        + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""),
        style=Markup(style),  # noqa: S704 - our own files
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        links={run: _link(run, folder) for one in finished for run in one.runs},
        main=scores.get(comparison.terms.score),
        others=list(scores.values()),
        sentences=wording.sentences(comparison),
        warnings=comparison.warnings(),
        wording=wording,
        facts=facts,
        costs=list(dict.fromkeys(name for told in facts.values() for name in told)),
        asked=max((one.inference.get("answers", 0) for one in finished), default=0),
        devices=", ".join(sorted({one.inference["device"] for one in finished if "device" in one.inference})),
        pictures=picture.pictures(comparison),
        picture=picture,
        level=percent(comparison.confidence),
    )


def _link(run: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(RunFolder(run).report, folder)).as_posix())


def _change(change: Score) -> str:
    return f"{figures.signed(change.value)} ({figures.interval(change, sign=True)})"


def _shown(value: Any) -> Any:
    """What a template prints: text with its control characters visible, markup and numbers as they are."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
