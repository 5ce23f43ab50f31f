"""Networks inside wrappers, PEFT's and those that prepend virtual tokens; modules for which something else answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from torch import nn

from luthier.errors import RecipeError


def unwrapped(network: nn.Module) -> nn.Module:
    """The transformers network inside PEFT's wrapper; a network without a wrapper itself."""
    inner = getattr(network, "get_base_model", None)
    return cast(nn.Module, inner()) if inner is not None else network


def virtual_token_count(network: nn.Module) -> int:
    """The number of virtual (soft-prompt) tokens that the network prepends to each text when its cache is empty.

    A wrapper that prepends them has an attribute `virtual_tokens`. RecipeError for PEFT's own prompt-learning wrapper,
    which prepends them at every call, and before the first of several packed texts only.
    """
    config = getattr(network, "active_peft_config", None)
    if not hasattr(type(network), "virtual_tokens") and getattr(config, "is_prompt_learning", False):
        raise RecipeError(
            f"{type(network).__name__} would put virtual tokens before every call, not before every text.",
            where="adaptation",
            hint="Use an adaptation that puts them there, such as prefix or prompt_tuning.",
        )
    return int(getattr(network, "virtual_tokens", 0))


@contextmanager
def forward_replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Within it another function answers the calls of a module."""
    before = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        del module.forward
        if before is not None:
            module.forward = before
