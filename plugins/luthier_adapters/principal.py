"""LoRA that starts with a part of the weights themselves and leaves the rest of them frozen."""

from __future__ import annotations

import math
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from luthier.api import ADAPTER_NAME, RecipeError, ResourceError, added_token_ids
from luthier_adapters.lora import Lora

if TYPE_CHECKING:
    from peft import PeftModel

    from luthier.api import Model

WEIGHTS = "adapter_model.safetensors"


class Principal(Lora):
    """Split each weight W into s B₀ A₀ and a residual, freeze the residual, and learn B and A from B₀ and A₀ on.

    What is saved is the difference to W, a LoRA of twice the rank whose factors
    are [A; A₀] and [B, -B₀]: plain PEFT loads it on the unchanged base. Loaded here, the residual is made from B₀ and
    A₀ as it was before training, bit for bit, and nothing is decomposed again.
    """

    def add(self, network: nn.Module, folder: Path, name: str) -> None:
        raise RecipeError(
            "Each run of this adaptation froze another part of the base, so that two cannot take turns on one.",
            where=str(folder),
            hint="Load each by itself, or load the artifacts with PEFT beside the base as it was.",
        )

    def use(self, network: nn.Module, name: str | None) -> None:
        if name != ADAPTER_NAME:
            raise RecipeError(
                "What this adaptation froze is not the base, so that the base cannot answer by itself.",
                hint="Load the base with its own model answer.",
            )

    def split(self, layer: Any) -> None:
        """Put B₀ and A₀ into a LoRA layer of PEFT and the residual into its base."""
        raise TypeError(f"{type(self).__name__} does not say how it splits")

    def __call__(self, network: nn.Module) -> nn.Module:
        if added_token_ids(network):
            raise RecipeError(
                "What this adaptation saves is a difference of low rank, which holds no rows of new tokens.",
                where="adaptation",
                hint="Choose adaptation=lora, which trains and saves them.",
            )
        adapted = super().__call__(network)
        if next(network.parameters()).is_meta:
            return adapted  # nothing to decompose
        with torch.no_grad():
            for layer in _layers(adapted).values():
                self.split(layer)
                _remember(layer, layer.lora_A[ADAPTER_NAME].weight, layer.lora_B[ADAPTER_NAME].weight)
        return adapted

    def save(self, network: nn.Module, folder: Path) -> None:
        tensors, model = {}, cast("PeftModel", network)
        for name, layer in _layers(network).items():
            down, up = layer.lora_A[ADAPTER_NAME].weight, layer.lora_B[ADAPTER_NAME].weight
            tensors[f"{name}.lora_A.weight"] = torch.cat([down, layer.first_A]).detach().contiguous()
            tensors[f"{name}.lora_B.weight"] = torch.cat([up, -layer.first_B], dim=1).detach().contiguous()
        save_file(tensors, folder / WEIGHTS)
        difference = copy(model.peft_config[ADAPTER_NAME])
        grown = math.sqrt(2) if self.rslora else 2  # alpha grows so that the factor before B A stays the same
        difference.r, difference.lora_alpha = 2 * self.rank, grown * self.alpha  # type: ignore[attr-defined]
        difference.inference_mode = True
        difference.save_pretrained(str(folder))

    def load(self, model: Model, folder: Path) -> nn.Module:
        network = self.adapted(model.network(), self.lora_config())
        saved, layers = load_file(folder / WEIGHTS), _layers(network)
        if {name.partition(".lora_")[0] for name in saved} != layers.keys():
            raise ResourceError("The adapter is of other layers than the network has.", where=str(folder))
        with torch.no_grad():
            for name, layer in layers.items():
                down, first_down = saved[f"{name}.lora_A.weight"].chunk(2)
                up, first_up = saved[f"{name}.lora_B.weight"].chunk(2, dim=1)
                layer.lora_A[ADAPTER_NAME].weight.copy_(down)
                layer.lora_B[ADAPTER_NAME].weight.copy_(up)
                _remember(layer, first_down, -first_up)
                _take_away(layer)
        return network


class Pissa(Principal):
    """Learn the principal singular values and vectors of each weight (PiSSA, Meng et al., 2024).

    `iterations` of a randomised decomposition are fast and near; null decomposes exactly.
    """

    def __init__(
        self,
        *,
        rank: int = 16,
        alpha: float = 16.0,
        dropout: float = 0.0,
        targets: str | list[str] = "all-linear",
        rslora: bool = False,
        iterations: int | None = 16,
    ) -> None:
        super().__init__(rank=rank, alpha=alpha, dropout=dropout, targets=targets, rslora=rslora)
        self.iterations = iterations

    def split(self, layer: Any) -> None:
        layer.pissa_init(ADAPTER_NAME, "pissa" if self.iterations is None else f"pissa_niter_{self.iterations}")


class Olora(Principal):
    """Learn the first columns of Q and rows of R, where W = Q R (OLoRA, Büyükakyüz, 2024)."""

    def __init__(
        self,
        *,
        rank: int = 16,
        alpha: float = 16.0,
        dropout: float = 0.0,
        targets: str | list[str] = "all-linear",
        rslora: bool = False,
    ) -> None:
        super().__init__(rank=rank, alpha=alpha, dropout=dropout, targets=targets, rslora=rslora)

    def split(self, layer: Any) -> None:
        layer.olora_init(ADAPTER_NAME)


def _layers(network: nn.Module) -> dict[str, Any]:
    from peft.tuners.lora import LoraLayer

    return {name: module for name, module in network.named_modules() if isinstance(module, LoraLayer)}


def _remember(layer: Any, down: Tensor, up: Tensor) -> None:
    """Keep A₀ and B₀ beside the layer: they move to devices with it, and are in no checkpoint."""
    for name, tensor in (("first_A", down), ("first_B", up)):
        layer.register_buffer(name, tensor.detach().clone(), persistent=False)


def _take_away(layer: Any) -> None:
    """W - s B₀ A₀ in float32 and in this order, as PEFT computes it, then in the weight's own dtype."""
    weight = layer.get_base_layer().weight
    part = layer.scaling[ADAPTER_NAME] * layer.first_B @ layer.first_A
    weight.data = (weight.data.float() - part).to(weight.dtype)
