"""What the report says of held-out examples that the model knew by heart before it was trained."""

from __future__ import annotations

from luthier.contracts.report_section import ReportSection
from luthier.evaluation.scores import Scores
from luthier.reporting.story import percent

SHOWN = 20
"""Examples that the report lists."""


def heart_sections(scores: Scores | None) -> list[ReportSection]:
    """A section where it was looked for; it says how it was told, and which examples were found."""
    found = scores.memorised if scores is not None else None
    if found is None:
        return []
    short = f" {found.too_short} were too short to tell." if found.too_short else ""
    told = (
        f"The model completes {percent(found.general)} of the n-grams of general text. An example is listed where it "
        "completes so many more that chance does not explain it (Xu et al., 2024): it was probably in what the model "
        "was trained on, and its score says little about new examples."
    )
    said = f"{len(found.known)} of {found.looked_at} held-out examples.{short}"
    rows = [[one.where, f"{one.completed} of {one.of}", one.begins] for one in found.known[:SHOWN]]
    columns = ["example", "n-grams completed", "begins"] if rows else []
    return [ReportSection(title="Known by heart before training", paragraphs=[said, told], columns=columns, rows=rows)]


def heart_warnings(scores: Scores | None) -> list[str]:
    """A sentence where some were found."""
    found = scores.memorised if scores is not None else None
    if not (found and found.known):
        return []
    places = ", ".join(one.where for one in found.known[:3]) + (", …" if len(found.known) > 3 else "")
    return [
        f"The model seems to have known {len(found.known)} of {found.looked_at} held-out examples by heart before "
        f"training: {places}"
    ]
