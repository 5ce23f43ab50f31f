"""Which distribution each part of a recipe came from: written with an artifact, and named where it is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from luthier.config.checks import targets_in
from luthier.errors import PluginError
from luthier.plugins.installed import owner_of

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


def refuse_absent_plugins(written: Any, folder: Path) -> None:
    """PluginError that says what to install, where a distribution is absent that parts of an artifact came from."""
    absent: dict[tuple[str, str], list[str]] = {}
    for target, origin in written.items() if isinstance(written, Mapping) else ():
        name, version = (str(origin.get(key, "")) for key in ("distribution", "version"))
        if _DISTRIBUTION.fullmatch(name) and _VERSION.fullmatch(version) and not _is_installed(name):
            absent.setdefault((name, version), []).append(str(target))
    if not absent:
        return
    missing = " and ".join(f"{name} {version} ({', '.join(parts)})" for (name, version), parts in absent.items())
    raise PluginError(
        f"The artifact was made with parts of {missing}, which is not installed here.",
        where=str(folder),
        hint=f"pip install {' '.join(f'{name}=={version}' for name, version in absent)}",
    )


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
