"""Bottleneck adapters behind attention and feed-forward."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from safetensors.torch import load_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from luthier.api import ADAPTER_NAME, NamedWeightsAdaptation, RecipeError, unwrapped
from luthier_adapters.bottleneck_layers import AdapterSlot, BottleneckAdapter, insert
from luthier_adapters.module_finder import Sublayer, find_sublayers


@dataclass(kw_only=True, eq=False)
class Bottleneck(NamedWeightsAdaptation):
    """Freeze the network and learn bottleneck adapters behind its attention and feed-forward (Houlsby et al., 2019).

    Each adds W_up · f(W_down · h) to the output h of a sublayer, before the residual connection; the inner width is the
    network's divided by `reduction`. W_up starts as zeros, so that the adapted network starts as the original one.
    Attention and feed-forward are found by the structure of the layers, whatever the architecture.
    """

    file = "bottleneck.safetensors"
    shaping_base = ("reduction", "activation", "scale", "attention", "feed_forward")
    parallel, scale = False, 1.0

    reduction: float = 16.0
    activation: Literal["relu", "gelu", "silu", "tanh"] = "gelu"
    dropout: float = 0.0
    attention: bool = True
    feed_forward: bool = True

    def __post_init__(self) -> None:
        if self.reduction <= 0:
            raise RecipeError(f"reduction must be above 0, not {self.reduction}.", where="adaptation.reduction")
        if not self.attention and not self.feed_forward:
            raise RecipeError(
                "Bottleneck adapters have no sublayer to stand at.",
                where="adaptation",
                hint="Let adaptation.attention or adaptation.feed_forward be true.",
            )

    def __call__(self, network: nn.Module) -> nn.Module:
        if _slots(network):
            raise RecipeError(
                "The network has bottleneck adapters of an earlier run.",
                where="adaptation",
                hint="Start from the model that they were trained for, or choose another adaptation.",
            )
        network.requires_grad_(False)
        for sublayer in self._adapted_sublayers(network):
            insert(sublayer.module, AdapterSlot(parallel=self.parallel, scale=self.scale))
        self._add_adapters(network, ADAPTER_NAME)
        return network

    def merge(self, network: nn.Module) -> nn.Module:
        raise RecipeError(
            "A bottleneck adapter is nonlinear, so it cannot be merged into the weights of the network.",
            where="adaptation",
            hint="Measure the run with luthier evaluate, and start other runs from the model that it was trained for.",
        )

    def add(self, network: nn.Module, folder: Path, name: str) -> None:
        self._add_adapters(network, name)
        saved = load_file(folder / self.file)
        with torch.no_grad():
            for path, weight in network.named_parameters():
                if f".adapters.{name}." in path:
                    weight.copy_(saved[path.replace(f".adapters.{name}.", f".adapters.{ADAPTER_NAME}.")])
                    weight.requires_grad_(False)

    def use(self, network: nn.Module, name: str | None) -> None:
        for slot in _slots(network):
            if name is not None and name not in slot.adapters:
                raise RecipeError(f"There is no adapter {name!r}.", hint=f"There are {', '.join(slot.adapters)}.")
            slot.active = name

    def _add_adapters(self, network: nn.Module, name: str) -> None:
        width = int(cast(Any, unwrapped(network)).config.get_text_config().hidden_size)
        inner = max(1, round(width / self.reduction))
        for slot in _slots(network):
            device = next(network.parameters()).device
            slot.adapters[name] = BottleneckAdapter(width, inner, self.activation, self.dropout).to(device)

    def _adapted_sublayers(self, network: nn.Module) -> list[Sublayer]:
        by_role = find_sublayers(network)
        roles = [role for role in ("attention", "feed_forward") if getattr(self, role)]
        for role in roles:
            if not getattr(by_role, role):
                raise RecipeError(
                    f"No {role} module was found in the layers of {type(unwrapped(network)).__name__}.",
                    where=f"adaptation.{role}",
                    hint=f"Set adaptation.{role}=false.",
                )
            if self.parallel and any(isinstance(one.module, (nn.Linear, Conv1D)) for one in getattr(by_role, role)):
                raise RecipeError(
                    f"A parallel adapter reads the input of its sublayer, and the {role} of "
                    f"{type(unwrapped(network)).__name__} is no module of its own.",
                    where=f"adaptation.{role}",
                    hint="Choose bottleneck, whose adapters read the output.",
                )
        return [sublayer for role in roles for sublayer in getattr(by_role, role)]


def _slots(network: nn.Module) -> list[AdapterSlot]:
    return [module for module in network.modules() if isinstance(module, AdapterSlot)]
