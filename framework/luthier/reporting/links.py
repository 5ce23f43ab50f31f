"""Links from one report to another."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

REPORT = "report.html"


def report_of(run: Path, folder: Path) -> str:
    """The address of a run's report, as a page in `folder` names it."""
    return quote(Path(os.path.relpath(run / REPORT, folder)).as_posix())
