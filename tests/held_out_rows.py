"""The tiny data set with a validation split, which it has not by itself."""

from __future__ import annotations

import json
from pathlib import Path

import luthier

TINY = Path(luthier.__file__).parent / "data" / "tiny.jsonl"


def held_out(folder: Path) -> tuple[str, ...]:
    """Words that train on it; beside `debug=tiny` they name its data."""
    rows = [json.loads(line) for line in TINY.read_text().splitlines()]
    for row in rows[::3]:
        row["split"] = "validation"
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "data=jsonl", "data/format=canonical", f"data.file={file}"
