"""Draw docs/pictures/NAME.svg, what runs measured while they trained: `python docs/generate/curves.py [NAME …]`.

The curves are those of the records in docs/measured; `measured.py NAME RUN` puts a record there.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path

from luthier.reporting import chart
from luthier.reporting.curves import finite, thinned
from luthier.reporting.record import RunRecord

DOCS = Path(__file__).parents[1]
RUNS = {"{}": "LoRA", "{}_full": "all weights"}
"""The records beside each other in a picture, and what they are called there."""
HEAD, GAP = 44, 24
FEW = 20
"""Points of a curve at most, each the mean of neighbouring steps, so that no smoothing is needed."""
STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#6a6257}.title{font-size:13px;font-weight:600;fill:#25211c}"
    ".grid{stroke:#eee8df}.axis{stroke:#c9bfb0}path{fill:none;stroke:#99480f;stroke-width:2;stroke-linejoin:round}"
    "circle{fill:#99480f}.second{stroke:#3d6b8e}circle.second{fill:#3d6b8e;stroke:none}.faint{opacity:.22;stroke-width:1}"
)


@dataclass(frozen=True)
class Panel:
    """A metric of the steps, and what stands above its curves."""

    metric: str
    title: str


PICTURES = {
    "preference": (
        Panel("accuracy", "pairs of the step told apart, by log-ratio"),
        Panel("margin", "margin in nats"),
    ),
    "reward_model": (Panel("reward_accuracy", "pairs of the step told apart"), Panel("loss", "loss")),
    "grpo": (Panel("reward", "mean reward of the step's answers"), Panel("answer_tokens", "tokens of an answer")),
}


def drawn(name: str) -> str:
    """The SVG of a picture: a panel for each metric, a curve in it for each run."""
    records = {label: DOCS / "measured" / f"{form.format(name)}.json" for form, label in RUNS.items()}
    runs = {label: RunRecord.load(file) for label, file in records.items() if file.is_file()}
    panels = [_panel(runs, panel, place) for place, panel in enumerate(PICTURES[name])]
    width = len(panels) * (chart.WIDTH + GAP) - GAP
    height = chart.HEIGHT + HEAD + 12
    said = "; ".join(panel.title for panel in PICTURES[name])
    seen = f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(said)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {seen}>'
        f"<style>{STYLE}</style>"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>{"".join(panels)}</svg>\n'
    )


def _panel(runs: dict[str, RunRecord], panel: Panel, place: int) -> str:
    curves = {label: run.curves[panel.metric] for label, run in runs.items()}
    found = chart.chart({label: thinned(points, FEW) for label, points in curves.items() if finite(points)})
    ink = [f'<text class="title" x="{chart.LEFT}" y="-24">{escape(panel.title)}</text>']
    for number, label in enumerate(curves):
        x, style = chart.LEFT + 100 * number, "second" if number else "first"
        ink.append(f'<path class="{style}" d="M{x} -10h16"/><text x="{x + 22}" y="-6">{escape(label)}</text>')
    for y, label in found.y_ticks:
        ink.append(f'<path class="grid" style="stroke:#eee8df;stroke-width:1" d="M{chart.LEFT} {y}H{chart.RIGHT}"/>')
        ink.append(f'<text x="{chart.LEFT - 8}" y="{y + 4}" text-anchor="end">{label}</text>')
    for x, label in found.x_ticks:
        ink.append(f'<text x="{x}" y="{chart.BOTTOM + 18}" text-anchor="middle">{label}</text>')
    ink.append(f'<text x="{chart.RIGHT}" y="{chart.BOTTOM + 34}" text-anchor="end">optimizer step</text>')
    for line in found.lines:
        ink.append(f'<path class="{line.style}" d="{line.path}"/>' if line.path else "")
        ink += [f'<circle class="{line.style}" cx="{x}" cy="{y}" r="2.6"/>' for x, y in line.dots]
    return f'<g transform="translate({place * (chart.WIDTH + GAP)} {HEAD})">{"".join(ink)}</g>'


if __name__ == "__main__":
    for name in sys.argv[1:] or PICTURES:
        (DOCS / "pictures" / f"{name}.svg").write_text(drawn(name), encoding="utf-8")
