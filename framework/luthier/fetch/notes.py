"""Small facts in the cache, each a sealed file of its own: one that was changed is told, and found out again."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.disk.reading import read_json
from luthier.disk.seals import SEAL, sealed, unsealed

log = logging.getLogger("luthier")


def read_note(file: Path) -> dict[str, Any]:
    """What `write_note` wrote; empty where nothing was, and, with a warning, where it is not as it was written."""
    if not file.is_file():
        return {}
    found = read_json(file)
    known = unsealed(found)
    if not known and (SEAL in found or not found):  # without a seal, a note is of luthier 0.1
        log.warning("The cached note %s is not as it was written, and is made again.", file)
    return known


def write_note(file: Path, facts: Mapping[str, Any]) -> None:
    """Replace a note in one step; a disk that does not take it keeps none.

    It is not flushed to the disk: one that a power cut halves is made again.
    """
    temporary = ""
    try:
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as stream:
            temporary = stream.name
            json.dump(sealed(facts), stream)
        os.replace(temporary, file)
    except OSError as error:
        log.debug("The note %s cannot be kept: %s", file, error)
        if temporary:
            Path(temporary).unlink(missing_ok=True)
