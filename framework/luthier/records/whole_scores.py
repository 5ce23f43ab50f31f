"""Whether the scores of an evaluation lie in a folder as they were written, without reading what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from luthier.disk.seals import read_sealed_json
from luthier.fetch.digests import sha256_of_file

SCORES, STATISTICS = "scores.json", "scores.safetensors"
NEEDED = {"scores", "counts", "samples", "seconds", "bootstrap", "examples"}


def read_scores(folder: Path) -> dict[str, Any]:
    """What the scores of a folder say; empty where they are not there or were changed."""
    return read_sealed_json(folder / SCORES, unsealed_keys={*NEEDED, "statistics"})


def are_whole(folder: Path) -> bool:
    """Whether both files are there as they were written, and are of one evaluation.

    Scores of version 0.1 have no seal, and do not say the digest of their statistics.
    """
    record = read_scores(folder)
    try:
        written = record.get("statistics") or sha256_of_file(folder / STATISTICS)
        return set(record) >= NEEDED and sha256_of_file(folder / STATISTICS) == written
    except OSError:
        return False
