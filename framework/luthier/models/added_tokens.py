"""Tokens that a network did not learn with: a model marks them, and adaptations train their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import nn

from luthier.errors import RecipeError
from luthier.models.lm_head import unwrapped

if TYPE_CHECKING:
    from peft import PeftConfig

_NAME = "luthier_new_tokens"


def mark_added_tokens(network: nn.Module, ids: Sequence[int]) -> nn.Module:
    """The network, which knows from now on that these rows of its embeddings are new."""
    setattr(network, _NAME, tuple(ids))
    return network


def added_token_ids(network: nn.Module) -> list[int]:
    """The ids whose rows are new, none in most networks."""
    return list(getattr(unwrapped(network), _NAME, ()))


def trained_too(config: PeftConfig, network: nn.Module) -> PeftConfig:
    """A configuration of PEFT that trains the new rows, and no other, beside what it trains anyway.

    RecipeError where that kind of adapter cannot.
    """
    ids = added_token_ids(network)
    if ids:
        if not hasattr(config, "trainable_token_indices"):
            raise _frozen(ids)
        config.trainable_token_indices = ids
    return config


def check_trained(network: nn.Module) -> None:
    """RecipeError where an adaptation leaves the embeddings of new tokens as they are."""
    ids = added_token_ids(network)
    if not ids:
        return
    table = unwrapped(network).get_input_embeddings()  # type: ignore[operator]
    if not any(weight.requires_grad for weight in table.parameters()):
        raise _frozen(ids)


def _frozen(ids: Sequence[int]) -> RecipeError:
    return RecipeError(
        f"The adaptation leaves the embeddings of {len(ids)} new tokens as they began.",
        where="adaptation",
        hint="Choose adaptation=lora, which trains their rows beside its own weights, or full.",
    )
