"""Networks with the adapter of an earlier run beside their weights: they can be asked, but not be adapted again."""

from __future__ import annotations

from torch import nn

from luthier.errors import RecipeError

_NAME = "luthier_adapter_beside"


def mark_stacked_adapter(network: nn.Module) -> nn.Module:
    """The network, which knows from now on that it has an earlier run's adapter beside its weights."""
    setattr(network, _NAME, True)
    return network


def refuse_stacked_adapter(network: nn.Module) -> None:
    """RecipeError where another adaptation shall change such a network: what it saved would lack the adapter."""
    if getattr(network, _NAME, False):
        raise RecipeError(
            "The earlier run's adapter stands beside its model, and another adaptation would not keep it.",
            where="model.merge",
            hint="Leave model.merge=true, or go on with the run itself: resume=RUN.",
        )
