"""Counts of total and trainable parameters, from the network on the meta device."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from luthier.errors import RecipeError
from luthier.models.encoder_heads import with_trained_head
from luthier.models.experts.description import idle_weights
from luthier.models.meta_networks import meta_network
from luthier.models.modalities import check_gradients, other_modalities, other_weights
from luthier.plugins.returned import returned

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
    other_modalities: int = 0
    """Weights of towers and projectors that no text passes through."""
    other_parts: tuple[str, ...] = ()
    """The names of these."""
    idle: int = 0
    """Weights of experts that a token does not pass through."""
    idle_trained: int = 0
    """Those of them that are trained."""
    warning: str = ""
    """What the run will say of trainable weights among them."""

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
        return returned(adaptation(network), nn.Module, adaptation)
    return None


def count_parameters(model: Model, adaptation: Adaptation) -> ParameterCounts:
    """Lay the network out on the meta device, where nothing has memory; RecipeError as the adaptation would raise."""
    return counts_of(with_trained_head(returned(adaptation(meta_network(model)), nn.Module, adaptation)), model)


def counts_of(adapted: nn.Module, model: Model) -> ParameterCounts:
    """The counts of a network that was adapted already."""
    parameters = list(adapted.parameters())
    text: Any = model.config.get_text_config()
    width = int(text.hidden_size)
    idle, idle_trained = idle_weights(adapted)
    return ParameterCounts(
        total=sum(each.numel() for each in parameters),
        trained=sum(each.numel() for each in parameters if each.requires_grad),
        layers=int(text.num_hidden_layers),
        width=width,
        inner=_inner_width(text, width),
        vocabulary=int(text.vocab_size),
        other_modalities=sum(each.numel() for each in other_weights(adapted)),
        other_parts=tuple(other_modalities(adapted)),
        idle=idle,
        idle_trained=idle_trained,
        warning=check_gradients(adapted),
    )


def _inner_width(text: Any, width: int) -> int:
    """The inner width of feed-forward: that of the widest layer where each has its own; 4 · `width` if unknown."""
    name = text.attribute_map.get("intermediate_size", "intermediate_size")
    stated: Any = text.to_dict().get(name) or 4 * width  # a dict, as configurations refuse what differs by layer
    return int(max(stated)) if isinstance(stated, list) else int(stated)
