"""JSON under a seal: a file that was changed by accident after it was written is not believed.

A seal is no signature: who changes a file on purpose can seal it again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from luthier.disk.reading import read_json
from luthier.disk.redaction import redact
from luthier.disk.writing import write_json

SEAL = "seal"


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """The value as JSON holds it, secrets redacted, with the sha256 of all that it says."""
    body: dict[str, Any] = json.loads(json.dumps(redact(value), default=str))
    return {**body, SEAL: seal_of(body)}


def unsealed(found: Any) -> dict[str, Any]:
    """What a sealed mapping says; empty where it is none, or its seal does not fit."""
    if not isinstance(found, dict) or not isinstance(found.get(SEAL), str):
        return {}
    body = {key: value for key, value in found.items() if key != SEAL}
    return body if seal_of(body) == found[SEAL] else {}


def write_sealed_json(path: Path, value: Mapping[str, Any], *, indent: int | None = 1) -> None:
    """Replace a file by this value under its seal, secrets redacted."""
    write_json(path, sealed(value), indent=indent)


def read_sealed_json(path: Path, *, unsealed_keys: Collection[str] = ()) -> dict[str, Any]:
    """What a file says under its seal; empty where it is not there, not whole, or was changed.

    A mapping of no other than `unsealed_keys` is of luthier 0.1, which did not seal it, and is taken as it is.
    """
    found = read_json(path)
    return found if found and set(found) <= set(unsealed_keys) else unsealed(found)


def seal_of(body: Mapping[str, Any]) -> str:
    """The sha256 of a mapping as JSON, its keys in order."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
