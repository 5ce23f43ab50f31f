"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import luthier

if TYPE_CHECKING:
    from omegaconf import DictConfig


@luthier.hookimpl
def luthier_recipes() -> str:
    return "pkg://luthier_cpt.recipes"


@luthier.hookimpl
def luthier_report(config: DictConfig) -> Iterable[str]:
    if config.method.get("_target_") != "luthier_cpt.cpt.ContinuedPretraining":
        return []
    from luthier_cpt.peak import suggestion

    return list(suggestion(config))
