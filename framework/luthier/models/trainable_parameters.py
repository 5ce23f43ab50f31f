"""Counts of total and trainable parameters, from the network on the meta device."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from luthier.contracts.model import HasMetaNetwork
from luthier.errors import PluginError, RecipeError
from luthier.models.loading import meta_causal_lm

if TYPE_CHECKING:
    from luthier.contracts.adaptation import Adaptation
    from luthier.contracts.model import Model


@dataclass(frozen=True, slots=True)
class ParameterCounts:
    """Counts of parameters, and the sizes of the architecture that estimates need."""

    total: int
    trained: int
    layers: int
    width: int
    inner: int
    vocabulary: int

    @property
    def share(self) -> float:
        return self.trained / self.total if self.total else 0.0


def check_adaptation(model: Model, adaptation: Adaptation) -> nn.Module | None:
    """The adapted network on meta; RecipeError where the adaptation refuses this architecture.

    That is before anything is measured or loaded. None for an architecture that cannot be laid out without its weights:
    it is checked when it is loaded.
    """
    try:
        network = meta_network(model)
    except (RecipeError, ValueError, RuntimeError, TypeError):
        return None
    with suppress(ValueError, RuntimeError, TypeError):
        return adaptation(network)
    return None


def meta_network(model: Model) -> nn.Module:
    """The network of a model on the meta device: the model's own, or one made from its configuration."""
    if isinstance(model, HasMetaNetwork):
        return model.meta_network()
    if hasattr(model, "outline"):  # its configuration alone would describe another network
        raise PluginError(
            f"{type(model).__qualname__} has `outline`, which luthier 0.1 called for the network on the meta device.",
            where="model",
            hint="Name it `meta_network`, as luthier.api.HasMetaNetwork has it now.",
        )
    return meta_causal_lm(model.config)


def count_parameters(model: Model, adaptation: Adaptation) -> ParameterCounts:
    """Lay the network out on the meta device, where nothing has memory; RecipeError as the adaptation would raise."""
    return counts_of(adaptation(meta_network(model)), model)


def counts_of(adapted: nn.Module, model: Model) -> ParameterCounts:
    """The counts of a network that was adapted already."""
    parameters = list(adapted.parameters())
    text: Any = model.config.get_text_config()
    width = int(text.hidden_size)
    return ParameterCounts(
        total=sum(each.numel() for each in parameters),
        trained=sum(each.numel() for each in parameters if each.requires_grad),
        layers=int(text.num_hidden_layers),
        width=width,
        inner=int(getattr(text, "intermediate_size", None) or 4 * width),
        vocabulary=int(text.vocab_size),
    )
