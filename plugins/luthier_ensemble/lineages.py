"""The lineages of an ensemble's members, what they hash to, and the lineage that an artifact holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import ARTIFACT_MANIFEST, content_hash

if TYPE_CHECKING:
    from luthier.api import Model


def lineages_of(models: Mapping[str, Model]) -> dict[str, Any]:
    """The lineage of each model, by its name."""
    return {name: model.lineage() for name, model in models.items()}


def hash_of_members(lineages: Mapping[str, Any], settings: Mapping[str, Any], *, kind: str | None = None) -> str:
    """A sha256 of the members' weights and of the settings by which they are combined."""
    weights = [[name, lineage.get("sha256") or lineage] for name, lineage in lineages.items()]
    return content_hash([*([] if kind is None else [kind]), weights, settings])


def stored_lineage(artifact: Path) -> dict[str, Any]:
    """The lineage of the model that a run's artifact was made with."""
    manifest = json.loads((artifact / ARTIFACT_MANIFEST).read_text(encoding="utf-8"))
    lineage: dict[str, Any] = manifest["model"]
    return lineage
