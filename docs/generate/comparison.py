"""Take a finished comparison into the documentation: `python docs/generate/comparison.py NAME comparisons/FOLDER`.

Its report goes to docs/measured/comparisons/NAME.html, without the links to runs, which are not kept here; its record
and a table to docs/measured/benchmarks/comparison_NAME.json, for measured.py; its pictures to
docs/pictures/comparison_NAME.svg.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from luthier.reporting.figures import duration, format_number, format_signed
from luthier.workflows.comparison import picture

DOCS = Path(__file__).parents[1]
LINK = re.compile(r'<a(?: class="run")? href="(?!#|https:)[^"]*">(.*?)</a>', re.DOTALL)
PANEL = re.compile(r'<figure>\s*<figcaption>(.*?)</figcaption>\s*<svg [^>]*aria-label="([^"]*)">(.*?)</svg>', re.DOTALL)
VERDICTS = {"not distinguishable": "≈ best", "worse": "▼ worse"}
HEAD, GAP = 30, 20
STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#6a6257}.title{font-size:13px;font-weight:600;fill:#25211c}"
    ".name{font-size:12px;fill:#25211c}.grid{stroke:#eee8df}.axis{stroke:#c9bfb0}"
    ".whisker{stroke:#8a8177;stroke-width:1.5;stroke-linecap:round}circle{fill:#8a8177}"
    ".best circle,.alike circle{fill:#99480f}.best .whisker,.alike .whisker{stroke:#99480f}"
)


def table(record: dict[str, Any]) -> str:
    """Markdown, the best first: quality with its interval, what training and an answer cost, and what was forgotten."""
    found = record["scores"][record["score"]]
    verdicts = {one["to"]: one for one in found["differences"] if one["from"] == found["best"]}
    one_of = {one["name"]: one for one in record["contenders"]}
    score, level = record["score"].replace("_", " "), f"{record['confidence']:.0%}"
    lines = [f"| | {score} | against the best | training | an answer | prompt tokens | loss on general text |"]
    lines += ["|---" * 7 + "|"]
    best_first = sorted(found["scores"].items(), key=lambda item: item[1]["value"], reverse=found["better"] == "higher")
    for name, at in best_first:
        spent, asked, forgot = (one_of[name][key] for key in ("training", "inference", "forgetting"))
        quality = (
            f"{format_number(at['value'])}<br><small>{format_number(at['low'])} … {format_number(at['high'])}</small>"
        )
        against = verdicts.get(name)
        standing = VERDICTS[against["verdict"]] if against else "best"
        trained = duration(spent["seconds"]) if spent.get("steps") else "none"
        general = f"{format_signed(forgot['general_loss'])}" if forgot else ""
        cells = [
            quality,
            standing,
            trained,
            f"{format_number(asked['seconds'])} s",
            f"{asked['prompt_tokens']:g}",
            general,
        ]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    said = (
        f"{record['evaluation']['examples']} held-out examples ({record['evaluation']['sha256']}), "
        f"{record['seeds']} seed{'s' if record['seeds'] > 1 else ''}, {level} intervals; budget: {record['budget']}. "
        f"≈: the interval of the paired difference from the best holds 0. `{record['command']}`"
    )
    return "\n".join([*lines, "", said])


def drawing(report: str) -> str:
    """The panels of a report side by side, as a picture of its own."""
    panels = PANEL.findall(report)
    width = len(panels) * picture.WIDTH + (len(panels) - 1) * GAP
    inside = [
        f'<text class="title" x="{place}" y="18">{title}</text>'
        f'<svg x="{place}" y="{HEAD}" width="{picture.WIDTH}" height="{picture.HEIGHT}">{ink.strip()}</svg>'
        for place, (title, _, ink) in ((number * (picture.WIDTH + GAP), one) for number, one in enumerate(panels))
    ]
    label = " ".join(sentence for _, sentence, _ in panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEAD + picture.HEIGHT}" role="img" '
        f'aria-label="{label}"><style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join(inside)}</svg>\n"
    )


def main(name: str, folder: Path) -> None:
    record = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    report = (folder / "report.html").read_text(encoding="utf-8")
    measured = DOCS / "measured"
    (measured / "comparisons").mkdir(exist_ok=True)
    (measured / "comparisons" / f"{name}.html").write_text(LINK.sub(r"\1", report), encoding="utf-8")
    kept = json.dumps({"record": record, "table": table(record)}, indent=1, ensure_ascii=False)
    (measured / "benchmarks" / f"comparison_{name}.json").write_text(kept + "\n", encoding="utf-8")
    (DOCS / "pictures" / f"comparison_{name}.svg").write_text(drawing(report), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
