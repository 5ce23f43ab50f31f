"""Where attention and feed-forward stand in each layer of a network, told from its modules, not from its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from luthier.api import RecipeError, unwrapped


@dataclass(frozen=True, slots=True)
class Site:
    """One half of a layer; `place` is its name within the layer, such as self_attn or mlp."""

    place: str
    module: nn.Module


@dataclass(frozen=True, slots=True)
class ModulesByRole:
    """The halves of all layers of a network."""

    attention: list[Site]
    feed_forward: list[Site]


def sites(network: nn.Module) -> ModulesByRole:
    """Of the children of a layer that hold matrices, one says that it is attention; the last other is feed-forward.

    Layers are the modules that the architecture does not let be split. RecipeError where it names none.
    """
    plain: Any = unwrapped(network)
    repeated = set(plain._no_split_modules or ())
    layers = [module for module in plain.modules() if type(module).__name__ in repeated]
    if not layers:
        raise RecipeError(
            f"{type(plain).__name__} does not say which of its modules are layers.",
            where="adaptation",
            hint="Choose an adaptation that finds weight matrices by their names, such as lora.",
        )
    attention, feed_forward = [], []
    for layer in layers:
        halves = list(_halves(layer))
        attention += [site for site in halves if _is_attention(site)]
        feed_forward += [site for site in halves if not _is_attention(site)][-1:]
    return ModulesByRole(attention, feed_forward)


def _halves(layer: nn.Module) -> Iterator[Site]:
    for name, child in layer.named_children():
        if any(weight.ndim > 1 for weight in child.parameters()):
            yield Site(name, child)


def _is_attention(site: Site) -> bool:
    return "attention" in type(site.module).__name__.lower()
