"""The optimizer steps of two runs compared: what was measured in each, which data it had, what was drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from luthier.records.events import complete_lines
from luthier.records.folder import RunFolder
from luthier.training.checkpoint_comparison import Compared

OF_MACHINE = ("step", "epoch", "seconds", "per_second", "bytes", "joules")
"""How names in metrics.jsonl end that say something of the machine, and not of the training."""
NAMES = {"examples": "data order", "batches": "batches", "generators": "random generators of each step"}
"""What the digests of a step are digests of."""

Records = Mapping[int, Mapping[str, Any]]


def compare_steps(one: RunFolder, other: RunFolder, first: int = 1, last: int | None = None) -> dict[str, Compared]:
    """What differs in the steps from `first` to `last` of both; a step that the second one lacks differs.

    Steps that `one` has no line of are left out: an older run has no digests.
    """
    found: dict[str, Compared] = {}
    for step, name, ours, theirs in _values(one, other):
        if step < first or (last is not None and step > last):
            continue
        compared = found.setdefault(name, Compared())
        compared.values += 1
        if ours != theirs:
            compared.differ.append(f"step {step}" if name in NAMES.values() else f"step {step}: {theirs}, was {ours}")
    return found


def _values(one: RunFolder, other: RunFolder) -> Iterator[tuple[int, str, Any, Any]]:
    for file, theirs in ((one.digests, other.digests), (one.metrics, other.metrics)):
        then, now = _lines(file), _lines(theirs)
        for step, record in then.items():
            for name, value in record.items():
                if not name.endswith(OF_MACHINE):
                    yield step, NAMES.get(name, name.replace("_", " ")), value, now.get(step, {}).get(name)


def _lines(file: Any) -> Records:
    return {int(line["step"]): line for line in complete_lines(file)} if file.is_file() else {}
