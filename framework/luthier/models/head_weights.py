"""Which weights of a sequence-classification network are its head, and that a new head is trained."""

from __future__ import annotations

from typing import Any

from torch import nn

from luthier.errors import RecipeError
from luthier.models.wrappers import unwrapped


def head_modules(network: nn.Module) -> list[str]:
    """The names of the modules of a sequence-classification network that are its head: all but the encoder's layers.

    A pooler, which only the head reads, is among them.
    """
    inner: Any = unwrapped(network)
    prefix = inner.base_model_prefix
    named = [
        name for name, child in inner.named_children() if name != prefix and next(child.parameters(), None) is not None
    ]
    pooler = getattr(getattr(inner, prefix, None), "pooler", None)
    return [*named, *([f"{prefix}.pooler"] if isinstance(pooler, nn.Module) else [])]


def is_of_head(name: str, network: nn.Module) -> bool:
    """Whether the weight of this name, within or without PEFT's wrapper, is of the head."""
    own = name.removeprefix("base_model.model.")
    return any(own.startswith(f"{head}.") for head in head_modules(network))


def refuse_untrained_head(network: nn.Module, adaptation: object) -> None:
    """RecipeError where an adaptation leaves a head that is initialised at random as it is."""
    if not any(weight.requires_grad for name, weight in network.named_parameters() if is_of_head(name, network)):
        raise RecipeError(
            f"{type(adaptation).__name__} does not train the new head, which is initialised at random.",
            where="adaptation",
            hint="Choose full, or an adaptation of PEFT such as lora.",
        )
