"""What will train: the network is laid out without weights, and the adaptation chooses among them."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM

from luthier.contracts.model import HasMetaNetwork

if TYPE_CHECKING:
    from luthier.contracts.adaptation import Adaptation
    from luthier.contracts.model import Model


@dataclass(frozen=True, slots=True)
class ParameterCounts:
    """Numbers of weights, and what an estimate needs to know of the architecture."""

    total: int
    trained: int
    layers: int
    width: int
    inner: int
    vocabulary: int

    @property
    def share(self) -> float:
        return self.trained / self.total if self.total else 0.0


def check_adaptation(model: Model, adaptation: Adaptation) -> None:
    """RecipeError where the adaptation refuses this architecture, said before anything is measured or loaded.

    An architecture that cannot be laid out without its weights is left for later.
    """
    with suppress(ValueError, RuntimeError, TypeError):
        count_parameters(model, adaptation)


def meta_network(model: Model) -> nn.Module:
    """The network of a model on the meta device, as the model outlines it or else as its configuration says."""
    if isinstance(model, HasMetaNetwork):
        return model.outline()
    with torch.device("meta"):
        network: nn.Module = AutoModelForCausalLM.from_config(deepcopy(model.config))  # type: ignore[no-untyped-call]
    return network


def count_parameters(model: Model, adaptation: Adaptation) -> ParameterCounts:
    """Lay the network out on the meta device, where nothing has memory; RecipeError as the adaptation would raise."""
    parameters = list(adaptation(meta_network(model)).parameters())
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
