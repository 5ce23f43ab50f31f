"""What a job of the service leaves: the losses of its steps, read as the record of a run.

`training_artifacts/step_wise_training_metrics.csv` and, with data for validation,
`validation_artifacts/post_fine_tuning_validation/…/validation_metrics.csv`; columns step_number (from 0),
epoch_number, training_loss or validation_loss, perplexity.
Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-customization-analyze.html
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.api import DataError, RecipeError, RunRecord

STEPS, VALIDATION = "step_wise_training_metrics.csv", "validation_metrics.csv"
Points = list[tuple[int, float | None]]


def read_job(folder: Path, name: str, request: Mapping[str, Any] | None = None) -> RunRecord:
    """The record of a job; DataError, with file and line, for what cannot be read."""
    steps = _table(_one(folder, STEPS), "training_loss")
    last_epoch = steps[-1]["epoch_number"]
    curves = {"loss": _points(steps, "training_loss"), **_others(steps, "training_loss")}
    record = RunRecord(name=name, recipe="bedrock", purpose="A job of Amazon Bedrock, read from what it left.")
    record.training.steps = len({row["step_number"] for row in steps})
    record.training.epochs = None if last_epoch is None else float(last_epoch)
    if (validation := _one(folder, VALIDATION, needed=False)) is not None:
        held_out = _table(validation, "validation_loss")
        curves["validation_loss"] = _points(held_out, "validation_loss")
        record.training.validations = len(held_out)
        record.training.monitor, record.training.last_value = "validation_loss", held_out[-1]["validation_loss"]
    record.curves = curves
    record.method = {"managed": "trained by Amazon Bedrock; its weights are not here"}
    if request is not None:
        _told(record, request)
    record.warnings = ["The loss is of the service's own tokens and data: it ranks with no loss of a local run."]
    record.is_generative = True
    return record


def _told(record: RunRecord, request: Mapping[str, Any]) -> None:
    """What the request of the job says of it."""
    base = str(request.get("baseModelIdentifier", ""))
    record.model.name, record.model.base = base, base
    record.method["job"] = str(request.get("customizationType", ""))
    record.training.optimizer = {str(key): str(value) for key, value in (request.get("hyperParameters") or {}).items()}
    record.resolved = json.dumps(request, indent=2)


def _one(folder: Path, name: str, *, needed: bool = True) -> Path | None:
    if not folder.is_dir():
        raise RecipeError(f"There is no folder {folder}.", where=str(folder), hint="Copy the job's output here first.")
    found = sorted(folder.rglob(name))
    if len(found) > 1:
        raise DataError(
            f"The folder holds {len(found)} files {name}.",
            where=str(folder),
            hint=f"Name one job: {found[0].parent.parent}",
        )
    if not found and needed:
        raise DataError(f"The folder has no {name}.", where=str(folder), hint="It is what a finished job leaves in S3.")
    return found[0] if found else None


def _table(file: Path | None, loss: str) -> list[dict[str, float | None]]:
    """The rows of a table; blank cells are None."""
    assert file is not None
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        columns = [column.strip() for column in reader.fieldnames or ()]
        if missing := [column for column in ("step_number", loss) if column not in columns]:
            raise DataError(f"The table has no column {missing[0]}.", where=f"{file}:1")
        reader.fieldnames = columns
        rows = [_row(row, f"{file}:{reader.line_num}", loss) for row in reader]
    if not rows:
        raise DataError("The table has no row.", where=str(file))
    return rows


def _row(row: Mapping[Any, Any], where: str, loss: str) -> dict[str, float | None]:
    if None in row or None in row.values():
        raise DataError("The row has more or fewer cells than the head of the table.", where=where)
    read: dict[str, float | None] = {"epoch_number": None}
    for name, cell in row.items():
        try:
            value = float(cell) if cell.strip() else None
        except ValueError:
            if name in ("step_number", loss):
                raise DataError(f"{name} is {cell!r}, where a number is expected.", where=where) from None
            continue
        read[name] = value
    step = read.get("step_number")
    if step is None or step < 0 or step != int(step):
        raise DataError(f"step_number is {row['step_number']!r}, where a whole number from 0 is expected.", where=where)
    return read


def _points(rows: list[dict[str, float | None]], name: str) -> Points:
    """(step from 1, value), None where it is not finite; the last of several rows of a step counts."""
    points = {int(row["step_number"] or 0) + 1: row.get(name) for row in rows}
    return [(step, value if value is None or math.isfinite(value) else None) for step, value in sorted(points.items())]


def _others(rows: list[dict[str, float | None]], loss: str) -> dict[str, Points]:
    """Further columns of numbers, under their own names."""
    names = [name for name in rows[0] if name not in ("step_number", "epoch_number", loss)]
    return {name: _points(rows, name) for name in names}
