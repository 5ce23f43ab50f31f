"""The network of a model on the meta device, where nothing has memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from transformers import PretrainedConfig

from luthier.contracts.model import HasMetaNetwork
from luthier.errors import PluginError
from luthier.models.loading import meta_causal_lm
from luthier.plugins.returned import held

if TYPE_CHECKING:
    from luthier.contracts.model import Model


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
    return meta_causal_lm(held(model, "config", PretrainedConfig))
