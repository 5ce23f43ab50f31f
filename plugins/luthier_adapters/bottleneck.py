"""Bottleneck adapters behind attention and feed-forward."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

import torch
from safetensors.torch import load_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from luthier.api import NamedWeightsAdaptation, RecipeError, unwrapped
from luthier_adapters.bottleneck_layers import Inserted, Narrow, insert
from luthier_adapters.module_finder import Site, sites


class Bottleneck(NamedWeightsAdaptation):
    """Freeze the network and learn small layers behind its attention and its feed-forward (Houlsby et al., 2019).

    Each adds W_up · f(W_down · h) to what it follows, before that joins the residual stream; the inner width is the
    network's divided by `reduction`. W_up starts as zeros, so that the adapted network starts as the original one.
    Which modules are attention and feed-forward is told from the layers of the network, whatever its architecture.
    """

    file = "bottleneck.safetensors"
    shaping_base = ("reduction", "activation", "scale", "attention", "feed_forward")
    beside, scale = False, 1.0

    def __init__(
        self,
        *,
        reduction: float = 16.0,
        activation: Literal["relu", "gelu", "silu", "tanh"] = "gelu",
        dropout: float = 0.0,
        attention: bool = True,
        feed_forward: bool = True,
    ) -> None:
        if reduction <= 0:
            raise RecipeError(f"reduction must be above 0, not {reduction}.", where="adaptation.reduction")
        if not attention and not feed_forward:
            raise RecipeError(
                "There is nothing that the adapters could stand beside.",
                where="adaptation",
                hint="Let adaptation.attention or adaptation.feed_forward be true.",
            )
        self.reduction, self.activation, self.dropout = reduction, activation, dropout
        self.attention, self.feed_forward = attention, feed_forward

    def __call__(self, network: nn.Module) -> nn.Module:
        if _all_inserted(network):
            raise RecipeError(
                "The network has bottleneck adapters of an earlier run.",
                where="adaptation",
                hint="Start from the model that they were learned for, or choose another adaptation.",
            )
        network.requires_grad_(False)
        for site in self._chosen(network):
            insert(site.module, Inserted(beside=self.beside, scale=self.scale))
        self._put(network, "default")
        return network

    def merge(self, network: nn.Module) -> nn.Module:
        raise RecipeError(
            "A bottleneck has a nonlinearity inside, so no weight of the network can take it up.",
            where="adaptation",
            hint="Measure the run with luthier evaluate, and start other runs from the model that it was learned for.",
        )

    def add(self, network: nn.Module, folder: Path, name: str) -> None:
        self._put(network, name)
        theirs = load_file(folder / self.file)
        with torch.no_grad():
            for path, weight in network.named_parameters():
                if f".adapters.{name}." in path:
                    weight.copy_(theirs[path.replace(f".adapters.{name}.", ".adapters.default.")])
                    weight.requires_grad_(False)

    def use(self, network: nn.Module, name: str | None) -> None:
        for module in _all_inserted(network):
            if name is not None and name not in module.adapters:
                raise RecipeError(f"There is no adapter {name!r}.", hint=f"There are {', '.join(module.adapters)}.")
            module.on = name

    def _put(self, network: nn.Module, name: str) -> None:
        width = int(cast(Any, unwrapped(network)).config.get_text_config().hidden_size)
        inner = max(1, round(width / self.reduction))
        for module in _all_inserted(network):
            device = next(network.parameters()).device
            module.adapters[name] = Narrow(width, inner, self.activation, self.dropout).to(device)

    def _chosen(self, network: nn.Module) -> list[Site]:
        found = sites(network)
        kinds = [kind for kind in ("attention", "feed_forward") if getattr(self, kind)]
        for kind in kinds:
            if not getattr(found, kind):
                raise RecipeError(
                    f"The layers of {type(unwrapped(network)).__name__} have no {kind} that could be told "
                    "from the rest.",
                    where=f"adaptation.{kind}",
                    hint=f"Set adaptation.{kind}=false.",
                )
            if self.beside and any(isinstance(site.module, (nn.Linear, Conv1D)) for site in getattr(found, kind)):
                raise RecipeError(
                    f"What stands beside a half of a layer reads its input, and the {kind} of "
                    f"{type(unwrapped(network)).__name__} is no module of its own.",
                    where=f"adaptation.{kind}",
                    hint="Choose bottleneck, whose layers stand behind.",
                )
        return [site for kind in kinds for site in getattr(found, kind)]


def _all_inserted(network: nn.Module) -> list[Inserted]:
    return [module for module in network.modules() if isinstance(module, Inserted)]
