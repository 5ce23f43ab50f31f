"""The new head of a network, which begins at random beside pretrained weights."""

from __future__ import annotations

from torch import nn

from luthier.api import Adaptation, RecipeError, head_modules


def is_head(name: str, network: nn.Module) -> bool:
    """Whether a weight is of the head, within or without PEFT's wrapper."""
    own = name.removeprefix("base_model.model.")
    return any(own.startswith(f"{head}.") for head in head_modules(network))


def refuse_untrained_head(network: nn.Module, adaptation: Adaptation) -> None:
    """RecipeError where an adaptation leaves the new head as it began."""
    heads = [weight for name, weight in network.named_parameters() if is_head(name, network)]
    if not any(weight.requires_grad for weight in heads):
        raise RecipeError(
            f"{type(adaptation).__name__} does not train the new head, which is initialised at random.",
            where="adaptation",
            hint="Choose full, or an adaptation of PEFT such as lora.",
        )
