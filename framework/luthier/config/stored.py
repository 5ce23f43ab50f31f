"""The resolved recipe that travels with a run or an artifact: it comes from a disk, and may come from anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from luthier.config import bounds, trust
from luthier.config.catalog import Catalog
from luthier.config.renamed_settings import current_config
from luthier.plugins.registry import Plugins


def stored_recipe(
    file: Path, plugins: Plugins, vouched: Iterable[str] = (), *, without: Callable[[Any], Any] = lambda plain: plain
) -> DictConfig:
    """Read it, resolve it, and refuse (exit 6) what a recipe may not say; what was checked is what is given back.

    `without` gives the resolved recipe without parts that nobody needs.
    """
    bounds.refuse_unbounded_file(file)
    try:
        raw = OmegaConf.load(file)
    except yaml.YAMLError as error:
        raise bounds.unreadable(error, file) from error
    plain: Any = OmegaConf.to_container(raw, resolve=False)
    trust.refuse_secrets(plain)
    bounds.refuse_growing(plain)
    resolved: Any = OmegaConf.to_container(OmegaConf.create(current_config(plain)[0]), resolve=True)
    resolved = without(resolved)
    trust.refuse_untrusted(resolved, trust.trusted_targets(Catalog.of(plugins), plugins, vouched))
    return DictConfig(escaped(resolved))


def escaped(node: Any) -> Any:
    """What was resolved stays text: a `${` that is left was escaped, and must not be looked up a second time."""
    if isinstance(node, dict):
        return {key: escaped(value) for key, value in node.items()}
    if isinstance(node, list):
        return [escaped(value) for value in node]
    return node.replace("${", "\\${") if isinstance(node, str) else node
