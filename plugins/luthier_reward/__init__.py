"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from luthier.api import Verb


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """A batch counts prompts, so prompts cannot be packed into blocks."""
    if config.method.get("_target_") == "luthier_reward.grpo.Grpo" and config.batch.get("packing"):
        yield (
            "batch.packing=true counts blocks of prompts, and each prompt is to be answered several times: set "
            "batch.packing=false, so that batch.size counts prompts."
        )


@hookimpl
def luthier_verbs() -> Iterator[Verb]:
    from luthier.api import Verb
    from luthier_reward import reward_check_verb

    help_ = "Check a recipe's reward for reward hacking: its scores of right answers and of adversarial ones"
    yield Verb("reward-check", help_, reward_check_verb.declare, reward_check_verb.act)
