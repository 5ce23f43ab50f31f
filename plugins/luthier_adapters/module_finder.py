"""Finds the attention and the feed-forward of each layer by the layer's structure, whatever the architecture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from luthier.api import RecipeError, decoder_layers, unwrapped


@dataclass(frozen=True, slots=True)
class Sublayer:
    """The attention or the feed-forward of a layer; `name` is that within the layer, such as self_attn or mlp."""

    name: str
    module: nn.Module


@dataclass(frozen=True, slots=True)
class SublayersByRole:
    """The sublayers of all layers of a network, the first layer first."""

    attention: list[Sublayer]
    feed_forward: list[Sublayer]


def find_sublayers(network: nn.Module) -> SublayersByRole:
    """Of a layer's children with matrices, those whose class is named attention; the last other is feed-forward.

    Layers are the modules that the architecture lists as not to be split. RecipeError where it lists none.
    """
    try:
        layers = decoder_layers(network)
    except RecipeError as error:
        raise RecipeError(
            f"{type(unwrapped(network)).__name__} does not say which of its modules are layers.",
            where="adaptation",
            hint="Choose an adaptation that finds weight matrices by their names, such as lora.",
        ) from error
    attention, feed_forward = [], []
    for layer in layers:
        sublayers = list(_sublayers(layer))
        attention += [sublayer for sublayer in sublayers if _is_attention(sublayer)]
        feed_forward += [sublayer for sublayer in sublayers if not _is_attention(sublayer)][-1:]
    return SublayersByRole(attention, feed_forward)


def _sublayers(layer: nn.Module) -> Iterator[Sublayer]:
    for name, child in layer.named_children():
        if any(weight.ndim > 1 for weight in child.parameters()):
            yield Sublayer(name, child)


def _is_attention(sublayer: Sublayer) -> bool:
    return "attention" in type(sublayer.module).__name__.lower()
