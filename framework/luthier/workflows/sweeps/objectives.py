"""What a sweep looks at in the folder of a job: scores by name, and what the run cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.disk.reading import read_json
from luthier.errors import DataError
from luthier.errors.suggestions import nearest
from luthier.records.folder import RunFolder

COSTS = ("seconds", "tokens", "peak_memory", "joules")
"""Of the training, in seconds, tokens, bytes and joules."""


def measured(run: Path) -> dict[str, float]:
    """Every number that can be an objective or a constraint: scores after training, costs, and what was forgotten.

    `forgetting` is the change of the loss on general text, `trained` the number of weights that move.
    """
    folder = RunFolder(run)
    found = _scores(folder, "after")
    record = read_json(folder.record)
    training, model = record.get("training", {}), record.get("model", {})
    found |= {name: float(training[name]) for name in COSTS if training.get(name) is not None}
    if model.get("trained") is not None:
        found["trained"] = float(model["trained"])
    before = _scores(folder, "before").get("general_loss")
    if before is not None and "general_loss" in found:
        found["forgetting"] = found["general_loss"] - before
    return found


def values_of(run: Path, names: Mapping[str, Any]) -> list[float]:
    """The named numbers of a run; DataError for one that it has not, or that is not finite."""
    there = measured(run)
    for name in names:
        if name not in there:
            hint = nearest(name, there, "There are") if there else "The run measured nothing."
            raise DataError(f"The run has no {name!r}.", where=str(run), hint=hint)
        if not math.isfinite(there[name]):
            raise DataError(f"Its {name} is {there[name]!r}.", where=str(run))
    return [there[name] for name in names]


def _scores(folder: RunFolder, name: str) -> dict[str, float]:
    scores = read_json(folder.scores / name / "scores.json").get("scores", {})
    return {score: float(found["value"]) for score, found in scores.items()}
