"""The weights of experts that are stacked in one tensor, and how PEFT names parameters that it adapts directly."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from torch import nn

from luthier.errors import RecipeError
from luthier.models.experts.layers import mixture_layers, plain, router_modules
from luthier.models.wrappers import unwrapped

if TYPE_CHECKING:
    from peft import PeftConfig


def fused_parameters(network: nn.Module) -> dict[str, nn.Parameter]:
    """The tensors that hold a matrix of each expert, [experts, ·, ·], by name; empty where experts are modules."""
    return {
        f"{name}.{own}": weight
        for layer in mixture_layers(network)
        for name, experts in layer.experts.items()
        for own, weight in plain(experts).named_parameters()
        if weight.ndim == 3
    }


def adapt_experts(config: PeftConfig, network: nn.Module) -> PeftConfig:
    """The configuration, set so that PEFT adapts the tensors of fused experts too; RecipeError where it cannot."""
    kind = type(unwrapped(network)).__name__
    if not hasattr(config, "target_parameters"):
        raise RecipeError(
            f"PEFT adapts the tensors of fused experts by LoRA alone, not by {type(config).__name__}.",
            where="adaptation.experts",
            hint="Choose adaptation=lora.",
        )
    layers, fused = mixture_layers(network), fused_parameters(network)
    if not layers:
        raise RecipeError(f"{kind} has no experts.", where="adaptation.experts", hint="Set adaptation.experts=false.")
    if not fused:
        raise RecipeError(
            f"The experts of {kind} are no tensors of [experts, rows, columns], which PEFT could adapt.",
            where="adaptation.experts",
            hint="Name their modules in adaptation.targets, or choose adaptation=full.",
        )
    add_parameters(config, network, fused)
    return config


def train_routers(config: PeftConfig, network: nn.Module) -> PeftConfig:
    """The configuration, set so that PEFT trains a copy of each router and saves it with the adapter.

    RecipeError for a network without routers.
    """
    names = set(router_modules(network))
    if not names:
        raise RecipeError(
            f"{type(unwrapped(network)).__name__} has no routers.",
            where="adaptation.routers",
            hint="Set adaptation.routers=false.",
        )
    config.modules_to_save = sorted({*(config.modules_to_save or ()), *_ends(names, network.named_modules())})  # type: ignore[attr-defined]
    return config


def add_parameters(config: Any, network: nn.Module, names: Iterable[str]) -> None:
    """Add parameters to those that PEFT adapts directly."""
    config.target_parameters = sorted(
        {*(config.target_parameters or ()), *_ends(set(names), network.named_parameters())}
    )


def _ends(wanted: set[str], named: Iterable[tuple[str, Any]]) -> set[str]:
    """The ends of names behind the number of the layer, or the whole names where others end like them."""
    ends = {re.split(r"\.\d+\.", name)[-1] for name in wanted}
    fitting = {name for name, _ in named if any(name == end or name.endswith(f".{end}") for end in ends)}
    return ends if fitting == wanted else wanted
