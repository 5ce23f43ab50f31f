"""Whether the scores of an evaluation lie in a folder as they were written, without reading what they say."""

from __future__ import annotations

from pathlib import Path

from luthier.disk.reading import read_json
from luthier.fetch.digests import sha256_of_file

SCORES, STATISTICS = "scores.json", "scores.safetensors"
NEEDED = {"scores", "counts", "samples", "seconds", "bootstrap", "examples"}


def are_whole(folder: Path) -> bool:
    """Whether both files are there, and the statistics are those that the scores were written with.

    Scores of version 0.1 do not say the digest of their statistics.
    """
    record = read_json(folder / SCORES)
    try:
        written = record.get("statistics") or sha256_of_file(folder / STATISTICS)
        return set(record) >= NEEDED and sha256_of_file(folder / STATISTICS) == written
    except OSError:
        return False
