"""Which distribution each part of a recipe came from: written with an artifact, and named where it is missing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from luthier.config.catalog import Catalog
from luthier.config.checks import targets_in
from luthier.config.stored import stored_recipe
from luthier.config.trust import trusted_targets
from luthier.errors import PluginError, Refused
from luthier.plugins.installed import owner_of
from luthier.plugins.registry import Plugins

STAND_INS: Mapping[str, Mapping[str, Any]] = {
    "tracking": {"_target_": "luthier.training.tracking.NoTracking"},
    "trainer.strategy": {"_target_": "luthier.training.strategies.Single"},
    "optimizer": {
        "_target_": "luthier.training.optimizers.adamw.AdamW",
        "schedule": {"_target_": "luthier.training.optimizers.schedules.Constant"},
    },
}
"""What stands in the recipe for a part that is absent and that nobody calls, where another part must be given one."""
_DISTRIBUTION = re.compile(r"[A-Za-z0-9][\w.-]*")
_VERSION = re.compile(r"[\w.+!-]+")


def origins(config: Any) -> dict[str, dict[str, str]]:
    """The distribution and version of each target of a recipe; one that is not installed, such as a file, has none."""
    plain = OmegaConf.to_container(config) if OmegaConf.is_config(config) else config
    targets = dict.fromkeys(str(node["_target_"]) for _, node in targets_in(plain))
    owners = {target: owner_of(target.partition(".")[0]) for target in targets}
    return {
        target: {"distribution": owner.name, "version": owner.version}
        for target, owner in owners.items()
        if owner is not None
    }


def recipe_read_back(
    file: Path,
    plugins: Plugins,
    vouched: Iterable[str],
    written: Any,
    *,
    owner: Path,
    spare: Collection[str] = ("tracking",),
) -> DictConfig:
    """The recipe that is stored with a run or an artifact, whose parts came from the distributions that are `written`.

    PluginError that says what to install, where one of them is absent, or another version has the part no longer.
    `spare` are the places of parts that are not used: there it may be absent, and is left out.
    """
    try:
        return stored_recipe(file, plugins, vouched)
    except Refused:  # an answer that is not installed is none that may be named
        known = trusted_targets(Catalog.of(plugins), plugins, vouched)
        if not (lost := _lost(written, known)):
            raise
    try:
        absent = {part for parts in lost.values() for part in parts}
        return stored_recipe(file, plugins, vouched, without=lambda plain: _without(plain, absent, spare))
    except Refused as refused:
        told = (f"{name} {version} ({', '.join(parts)}), {_state(name)}" for (name, version), parts in lost.items())
        raise PluginError(
            f"It was made with parts of {' and of '.join(told)}.",
            where=str(owner),
            hint=f"pip install {' '.join(f'{name}=={version}' for name, version in lost)}",
        ) from refused


def _without(recipe: Any, absent: Collection[str], spare: Collection[str]) -> Any:
    """The recipe without those of the spare parts that are absent or hold one that is."""
    for place in spare:
        *names, last = place.split(".")
        node = recipe
        for name in names:
            node = node.get(name, {})
        if any(part["_target_"] in absent for _, part in targets_in(node.get(last))):
            node[last] = dict(STAND_INS.get(place, {}))
    return recipe


def _lost(written: Any, known: Collection[str]) -> dict[tuple[str, str], list[str]]:
    """The parts, by distribution and version, that are not in what is installed instead of it."""
    lost: dict[tuple[str, str], list[str]] = {}
    for target, origin in written.items() if isinstance(written, Mapping) else ():
        name, version = (str(origin.get(key, "")) for key in ("distribution", "version"))
        told = _DISTRIBUTION.fullmatch(name) and _VERSION.fullmatch(version)
        if told and target not in known and _installed(name) != version:
            lost.setdefault((name, version), []).append(str(target))
    return lost


def _state(name: str) -> str:
    version = _installed(name)
    return f"and {version} is installed here, which does not have them" if version else "which is not installed here"


def _installed(name: str) -> str:
    """The version of a distribution; empty where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
