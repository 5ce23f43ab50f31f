"""Draw docs/pictures/report.png: the head of the report of docs/measured/NAME.json, in headless Chromium.

`python docs/generate/picture.py quickstart`; the browser is `chromium` or what the variable BROWSER names.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from luthier.reporting.page import page
from luthier.reporting.record import RunRecord

DOCS = Path(__file__).parents[1]
WIDTH, HEIGHT = 1100, 900


def draw(name: str, picture: Path) -> None:
    browser = shutil.which(os.environ.get("BROWSER", "chromium"))
    if browser is None:
        raise SystemExit("There is no browser to draw with; set BROWSER.")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.html")
        report.write_text(page(RunRecord.load(DOCS / "measured" / f"{name}.json")), encoding="utf-8")
        size = [f"--window-size={WIDTH},{HEIGHT}", "--hide-scrollbars", f"--screenshot={picture}"]
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", *size, report.as_uri()]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603


if __name__ == "__main__":
    draw(sys.argv[1], DOCS / "pictures" / "report.png")
