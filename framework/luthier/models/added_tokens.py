"""Adapting a loaded model whose vocabulary has added tokens: their rows of the embeddings must be trained."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import nn

from luthier.errors import RecipeError
from luthier.models.encoder_heads import with_trained_head
from luthier.models.wrappers import unwrapped
from luthier.plugins.returned import returned

if TYPE_CHECKING:
    from peft import PeftConfig

    from luthier.contracts.adaptation import Adaptation
    from luthier.contracts.model import LoadedModel


def adapt(adaptation: Adaptation, loaded: LoadedModel) -> nn.Module:
    """The adapted network; an adaptation whose call takes `added_tokens` is given them.

    RecipeError where an adapter is stacked on the model already, and where the rows of added tokens are not trained.
    """
    if loaded.stacked_adapter:
        raise RecipeError(
            "The earlier run's adapter stands beside its model, and another adaptation would not keep it.",
            where="model.merge",
            hint="Leave model.merge=true, or go on with the run itself: resume=RUN.",
        )
    takes_tokens = "added_tokens" in inspect.signature(adaptation.__call__).parameters
    given = {"added_tokens": loaded.added_tokens} if takes_tokens else {}
    network = with_trained_head(returned(adaptation(loaded.network, **given), nn.Module, adaptation))
    table = unwrapped(network).get_input_embeddings() if loaded.added_tokens else None  # type: ignore[operator]
    if table is not None and not any(weight.requires_grad for weight in table.parameters()):
        raise _not_trained(loaded.added_tokens)
    return network


def with_trained_tokens(config: PeftConfig, added_tokens: Sequence[int]) -> PeftConfig:
    """A configuration of PEFT that also trains the rows of added tokens; RecipeError where that kind cannot."""
    if added_tokens:
        if not hasattr(config, "trainable_token_indices"):
            raise _not_trained(added_tokens)
        config.trainable_token_indices = list(added_tokens)
    return config


def _not_trained(added_tokens: Sequence[int]) -> RecipeError:
    return RecipeError(
        f"The adaptation leaves the embeddings of {len(added_tokens)} new tokens as they began.",
        where="adaptation",
        hint="Choose adaptation=lora, which trains their rows beside its own weights, or full.",
    )
