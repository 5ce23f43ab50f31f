"""The texts on which an export to ONNX is compared: given ones, or those that the run held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.contracts.examples import Example
from luthier.data.readers.json_lines import JsonLines
from luthier.errors import DataError
from luthier.workflows.artifact import Artifact, load
from luthier.workflows.finished_run import FinishedRun

if TYPE_CHECKING:
    from luthier.plugins.registry import Plugins

MOST = 1000
"""Texts that are compared, of many."""


def examples_of(
    run: str, rows: Path | None, plugins: Plugins, vouched: tuple[str, ...]
) -> tuple[Artifact, Sequence[Example], str]:
    """The artifact of a run, texts, and what they are; DataError where there is no text."""
    if rows is not None:
        return load(run, plugins=plugins, vouched=vouched), _read(rows)[:MOST], f"those of {rows.name}"
    finished = FinishedRun.load(run, plugins=plugins, vouched=vouched)
    try:
        examples = finished.examples("test")
    except DataError as error:
        raise _with_way_out(error) from error
    return replace(finished.predictor, method=None), list(islice(examples, MOST)), "the test split"


def _with_way_out(error: DataError) -> DataError:
    """The error of a run that held nothing out, with the way out that an export has."""
    return DataError(error.message, where=error.where, hint="Give texts to compare on: --rows texts.jsonl.")


def _read(file: Path) -> list[Example]:
    found: list[Example] = []
    for record in JsonLines().records(JsonLines().files(file)[0], str(file)):
        if record.fault is not None:
            raise record.fault
        assert record.row is not None
        if not isinstance(record.row.get("text"), str):
            raise DataError("The row has no `text`.", where=record.where)
        found.append({"text": record.row["text"], "where": record.where})
    return found
