"""The name of a recipe by what it says: equal hashes mean equal work."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from omegaconf import DictConfig, OmegaConf

NOT_THE_WORK = ("name", "resume")


def recipe_hash(config: DictConfig | dict[str, Any]) -> str:
    """sha256 over the resolved settings as sorted JSON, but for those that only name or continue a run; 64 digits."""
    plain: Any = OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig) else config
    work = {key: value for key, value in plain.items() if key not in NOT_THE_WORK}
    return hashlib.sha256(json.dumps(work, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
