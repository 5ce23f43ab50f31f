"""LoRA whose factors start as a low-rank part of each weight, and whose base is the residual (PiSSA, OLoRA)."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from luthier.api import ADAPTER_NAME, RecipeError, ResourceError, untie_adapted
from luthier_adapters.lora import LowRankAdaptation, ranks_within, widths
from luthier_adapters.targeted import refuse_added_tokens

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel

    from luthier.api import Model

WEIGHTS = "adapter_model.safetensors"


@dataclass(kw_only=True, eq=False)
class DecomposedLora(LowRankAdaptation):
    """Split each weight W into s B₀ A₀ and a residual, freeze the residual, and train B and A from B₀ and A₀ on.

    The artifact holds the difference to W as a LoRA of twice the rank, with the factors [A; A₀] and [B, -B₀]: plain
    PEFT loads it on the unchanged base. `load` computes the residual from B₀ and A₀, bit for bit as it was in training,
    and decomposes nothing again. A layer with fewer than `rank` rows or columns is decomposed whole, at that rank.
    """

    alpha: float = 16.0

    def add(self, network: nn.Module, folder: Path, name: str) -> None:
        raise RecipeError(
            "Each run of this adaptation froze another residual of the base, so two adapters cannot share a base.",
            where=str(folder),
            hint="Load each by itself, or load the artifacts with PEFT on the unchanged base.",
        )

    def use(self, network: nn.Module, name: str | None) -> None:
        if name != ADAPTER_NAME:
            raise RecipeError(
                "The frozen weights are a residual of the base, so the base cannot answer without the adapter.",
                hint="Load the base with its own model answer.",
            )

    def peft_config(self, network: nn.Module) -> LoraConfig:
        narrowest = {name: min(sizes) for name, sizes in widths(network).items()}
        return self.lora_config(rank_pattern=ranks_within(narrowest, self.rank))

    @abstractmethod
    def split(self, layer: Any) -> None:
        """Put B₀ and A₀ into a LoRA layer of PEFT and the residual into its base layer."""

    def __call__(self, network: nn.Module, added_tokens: Sequence[int] = ()) -> nn.Module:
        refuse_added_tokens(
            added_tokens,
            "The artifact of this adaptation is a difference of low rank, which holds no rows of new tokens.",
        )
        adapted = self._of_linear_layers(super().__call__(network))
        if next(network.parameters()).is_meta:
            return adapted  # nothing to decompose
        with torch.no_grad():
            for layer in _lora_layers(adapted).values():
                self.split(layer)
                _store_initial_factors(layer, layer.lora_A[ADAPTER_NAME].weight, layer.lora_B[ADAPTER_NAME].weight)
        return adapted

    def _of_linear_layers(self, network: nn.Module) -> nn.Module:
        """The adapted network, an adapted LM head apart from the embeddings, whose weights are no residual."""
        for name, layer in _lora_layers(network).items():
            _refuse_other_than_linear(name, layer)
        untie_adapted(network)
        return network

    def save(self, network: nn.Module, folder: Path) -> None:
        model = cast("PeftModel", network)
        tensors = _other_trained_weights(model)
        for name, layer in _lora_layers(network).items():
            down, up = layer.lora_A[ADAPTER_NAME].weight, layer.lora_B[ADAPTER_NAME].weight
            tensors[f"{name}.lora_A.weight"] = torch.cat([down, layer.first_A]).detach().contiguous()
            tensors[f"{name}.lora_B.weight"] = torch.cat([up, -layer.first_B], dim=1).detach().contiguous()
        save_file(tensors, folder / WEIGHTS)
        difference: Any = copy(model.peft_config[ADAPTER_NAME])
        growth = math.sqrt(2) if self.rslora else 2  # of alpha, so that the scale of B A stays at twice the rank
        difference.r, difference.lora_alpha = 2 * self.rank, growth * self.alpha
        difference.rank_pattern = {name: 2 * rank for name, rank in difference.rank_pattern.items()}
        difference.inference_mode = True
        difference.save_pretrained(str(folder))

    def load(self, model: Model, folder: Path) -> nn.Module:
        base = model.network()
        network = self._of_linear_layers(self.adapted(base, self.peft_config(base)))
        saved, layers = load_file(folder / WEIGHTS), _lora_layers(network)
        others = {name: saved.pop(name) for name in list(saved) if ".lora_" not in name}
        if {name.partition(".lora_")[0] for name in saved} != layers.keys():
            raise ResourceError("The adapter has other layers than the network.", where=str(folder))
        with torch.no_grad():
            for name, layer in layers.items():
                down, first_down = saved[f"{name}.lora_A.weight"].chunk(2)
                up, first_up = saved[f"{name}.lora_B.weight"].chunk(2, dim=1)
                layer.lora_A[ADAPTER_NAME].weight.copy_(down)
                layer.lora_B[ADAPTER_NAME].weight.copy_(up)
                _store_initial_factors(layer, first_down, -first_up)
                _subtract_initial_product(layer)
        _set_other_weights(cast("PeftModel", network), others, folder)
        return network


@dataclass(kw_only=True, eq=False)
class Pissa(DecomposedLora):
    """Learn the principal singular values and vectors of each weight (PiSSA, Meng et al., 2024).

    `iterations` of a randomised decomposition are fast and near; null decomposes exactly.
    """

    iterations: int | None = 16

    def split(self, layer: Any) -> None:
        layer.pissa_init(ADAPTER_NAME, "pissa" if self.iterations is None else f"pissa_niter_{self.iterations}")


@dataclass(kw_only=True, eq=False)
class Olora(DecomposedLora):
    """Learn the first columns of Q and rows of R, where W = Q R (OLoRA, Büyükakyüz, 2024)."""

    def split(self, layer: Any) -> None:
        with _outputs_first(layer):  # PEFT's function knows no other
            layer.olora_init(ADAPTER_NAME)


def _lora_layers(network: nn.Module) -> dict[str, Any]:
    from peft.tuners.lora import LoraLayer

    return {name: module for name, module in network.named_modules() if isinstance(module, LoraLayer)}


def _other_trained_weights(model: PeftModel) -> dict[str, Tensor]:
    """What PEFT trains and saves beside the factors, such as a new head, by the names it saves them with."""
    from peft import get_peft_model_state_dict

    saved = get_peft_model_state_dict(model, adapter_name=ADAPTER_NAME, save_embedding_layers=False)
    return {name: weight.detach().contiguous() for name, weight in saved.items() if ".lora_" not in name}


def _set_other_weights(model: PeftModel, weights: dict[str, Tensor], folder: Path) -> None:
    from peft import set_peft_model_state_dict

    if weights.keys() != _other_trained_weights(model).keys():
        raise ResourceError("The adapter has another head than the network.", where=str(folder))
    set_peft_model_state_dict(model, weights, adapter_name=ADAPTER_NAME)


def _store_initial_factors(layer: Any, down: Tensor, up: Tensor) -> None:
    """Register A₀ and B₀ as buffers of the layer: they move to devices with it, and are in no checkpoint."""
    for name, tensor in (("first_A", down), ("first_B", up)):
        layer.register_buffer(name, tensor.detach().clone(), persistent=False)


def _subtract_initial_product(layer: Any) -> None:
    """Make the base weight W - s B₀ A₀, computed in float32 and in this order, as by PEFT, and cast to its dtype."""
    weight = layer.get_base_layer().weight
    with _outputs_first(layer):
        product = layer.scaling[ADAPTER_NAME] * layer.first_B @ layer.first_A
        weight.data = (weight.data.float() - product).to(weight.dtype)


@contextmanager
def _outputs_first(layer: Any) -> Iterator[None]:
    """The weight of a linear layer as [out, in], also where the layer keeps it as [in, out], as those of GPT-2 do."""
    weight = layer.get_base_layer().weight
    if layer.fan_in_fan_out:
        weight.data = weight.data.T
    yield
    if layer.fan_in_fan_out:
        weight.data = weight.data.T.contiguous()


def _refuse_other_than_linear(name: str, layer: Any) -> None:
    if ADAPTER_NAME in layer.lora_A and layer.get_base_layer().weight.ndim == 2:
        return
    kind = type(layer.get_base_layer()).__name__
    raise RecipeError(
        f"This adaptation decomposes the weights of linear layers, and {name.removeprefix('base_model.model.')} is "
        f"of the kind {kind}.",
        where="adaptation.targets",
        hint="Name linear layers alone, or choose adaptation=lora.",
    )
