"""A record and its views in the folder of a run that luthier did not carry out itself."""

from __future__ import annotations

from pathlib import Path

from luthier.disk.writing import write_text
from luthier.reporting.card import card
from luthier.reporting.page import page
from luthier.reporting.record import RunRecord


def write_report(record: RunRecord, folder: Path) -> None:
    """Write `report.html`, `MODEL_CARD.md` and, last, `record.json` into a folder, without secrets.

    It is how a training that ran elsewhere stands beside runs: `luthier compare … --beside FOLDER` shows it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = record.without_secrets
    write_text(folder / "MODEL_CARD.md", card(record))
    write_text(folder / "report.html", page(record))
    record.save(folder / "record.json")
