"""`luthier bedrock results FOLDER --name NAME`: what a job left, as the record and the report of a run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import DataError, RecipeError

if TYPE_CHECKING:
    from luthier.api import Call, RunRecord


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a copy of what the job left in S3")
    parser.add_argument("--name", required=True, help="of the run: its folder is runs/NAME")
    parser.add_argument("--request", type=Path, metavar="FILE", help="the request of the job, as luthier wrote it")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="(default: runs)")


def act(call: Call) -> int:
    from luthier.api import write_report
    from luthier_bedrock.managed import read_job

    given = call.arguments
    if given.name != Path(given.name).name or given.name in ("", ".", ".."):
        raise RecipeError(f"{given.name!r} is no name of a run.", where="--name")
    folder = given.runs / given.name
    if (folder / "resolved.yaml").exists():
        raise RecipeError(f"{folder} is a run of luthier.", where="--name", hint="Choose another name.")
    record = read_job(given.folder, given.name, _request(given.request))
    write_report(record, folder)
    call.console.data(_page(record, folder), record.as_json())
    return 0


def _request(file: Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("The request cannot be read.", where=str(file)) from error
    if not isinstance(read, dict):
        raise DataError("The request is no object.", where=str(file))
    return read


def _page(record: RunRecord, folder: Path) -> str:
    points = [f"{name} {values[-1][1]:.4g}" for name, values in record.curves.items() if values[-1][1] is not None]
    return f"{record.training.steps:,} steps; at the end {', '.join(points)}\n{folder / 'report.html'}"
