"""`trainer.precision: auto` in a recipe: what the machine decides, and what a run has once it is decided."""

from __future__ import annotations

from typing import Any, Literal, get_args

from omegaconf import DictConfig, OmegaConf

from luthier.config.fingerprint import recipe_hash
from luthier.config.signatures import signature
from luthier.disk.redaction import redact

SETTING, AUTO = "trainer.precision", "auto"
ANSWERS = ("fp32", "bf16")


def is_open(config: DictConfig) -> bool:
    """Whether the machine decides the precision: its trainer takes `auto`, and that is what the recipe says."""
    trainer = config.trainer
    return trainer.get("precision") == AUTO and decides(trainer)


def decides(trainer: Any) -> bool:
    """Whether the setting of this trainer means what that of the core's trainer means."""
    expected = signature(str(trainer.get("_target_"))).types.get("precision")
    return set(get_args(expected)) == {AUTO, *ANSWERS}


def decided(config: DictConfig, precision: Literal["fp32", "bf16"]) -> DictConfig:
    """The recipe with this precision, read-only as it was."""
    plain: Any = OmegaConf.to_container(config)
    copy: DictConfig = OmegaConf.create(plain)
    OmegaConf.update(copy, SETTING, precision)
    OmegaConf.set_readonly(copy, True)
    return copy


def hashes(config: DictConfig) -> set[str]:
    """Those of what a run of this recipe may write down: one, or one for each precision that a machine may decide for.

    Secrets are not written, so that they make no difference here.
    """
    of_runs = [decided(config, one) for one in ANSWERS] if is_open(config) else [config]  # type: ignore[arg-type]
    return {recipe_hash(redact(OmegaConf.to_container(one, resolve=True))) for one in of_runs}
