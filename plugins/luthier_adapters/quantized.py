"""LoRA on a network whose frozen weights are quantized to four bits by bitsandbytes (QLoRA)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from luthier.api import (
    ADAPTER_NAME,
    Needs,
    adapt_experts,
    has_small_head,
    head_modules,
    imported,
    router_modules,
    text_weights,
    unwrapped,
)
from luthier_adapters.lora import LowRankAdaptation
from luthier_adapters.targeted import refuse_added_tokens

if TYPE_CHECKING:
    from peft import LoraConfig

    from luthier.api import Model


@dataclass(kw_only=True, eq=False)
class Qlora(LowRankAdaptation):
    """Keep the frozen weights of all linear layers but the LM head and routers in four bits, and learn LoRA on them.

    Dettmers et al., 2023: `kind` is the four-bit type, with `double` the scales of its blocks are quantized as well,
    and products are computed in `compute`. RecipeError without bitsandbytes. The artifact is an ordinary LoRA; plain
    PEFT loads it on the base quantized the same way. `experts` adapts fused experts too, which keep their precision.
    """

    shaping_base = ("kind", "double", "compute")
    needs: ClassVar[Needs] = {"bitsandbytes": "luthier[gpu]"}

    kind: Literal["nf4", "fp4"] = "nf4"
    double: bool = True
    compute: Literal["bfloat16", "float32"] = "bfloat16"
    experts: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._bitsandbytes()

    def _bitsandbytes(self) -> Any:
        return imported("bitsandbytes", self.needs["bitsandbytes"], "A base of four bits", where="adaptation")

    def peft_config(self, network: nn.Module) -> LoraConfig:
        config = super().peft_config(network)
        if self.experts:
            adapt_experts(config, network)
        return config

    def __call__(self, network: nn.Module, added_tokens: Sequence[int] = ()) -> nn.Module:
        refuse_added_tokens(added_tokens, "Rows of new tokens cannot be merged back into a base of four bits.")
        if next(network.parameters()).is_meta:
            cast(Any, network).is_loaded_in_4bit = True  # as it will be: a plan counts weights, whatever their bits
            return super().__call__(network)
        return self.adapted_in_four_bits(network)

    def adapted_in_four_bits(self, network: nn.Module) -> nn.Module:
        """The network with its linear layers quantized and LoRA layers around those that `targets` names."""
        return self.adapted(self.quantized(network), self.peft_config(network))

    def base(self, model: Model) -> nn.Module:
        return self.quantized(model.network())

    def merge(self, network: nn.Module) -> nn.Module:
        """The network with its weights dequantized, and the update added without rounding it to four bits."""
        base = cast(nn.Module, network.get_base_model())  # type: ignore[operator]
        for parent in list(base.modules()):
            for name, child in list(parent.named_children()):
                inner = getattr(child, "base_layer", child)
                if _is_quantized(inner):
                    delta = child.get_delta_weight(ADAPTER_NAME) if inner is not child else None  # type: ignore[operator]
                    setattr(parent, name, _dequantized(inner, delta))
        super().merge(network)  # what is not quantized, such as fused experts
        cast(Any, base).is_loaded_in_4bit = False
        return base

    def quantized(
        self, network: nn.Module, replacing: Callable[[nn.Linear, nn.Module], None] | None = None
    ) -> nn.Module:
        """The network with its linear layers quantized in place.

        The LM head, routers of experts, and towers that no text passes through stay as they are. `replacing` is called
        with each linear layer and its quantized one, before the first is dropped.
        """
        head, of_text = unwrapped(network).get_output_embeddings(), set(text_weights(network).values())  # type: ignore[operator]
        heads = _classification_head(network)
        whole = {head, *(module for router in router_modules(network).values() for module in router.modules())}
        for parent in list(network.modules()):
            for name, child in list(parent.named_children()):
                if type(child) is nn.Linear and child not in whole | heads and child.weight in of_text:
                    quantized = self.four_bits(child)
                    if replacing is not None:
                        replacing(child, quantized)
                    setattr(parent, name, quantized)
        cast(Any, network).is_loaded_in_4bit = True  # which PEFT reads
        return network

    def four_bits(self, linear: nn.Linear) -> nn.Module:
        """The same layer with its weights quantized, on the same device."""
        bnb = self._bitsandbytes()
        quantized = bnb.nn.Linear4bit(
            linear.in_features, linear.out_features, linear.bias is not None, device="meta",
            compute_dtype=getattr(torch, self.compute), compress_statistics=self.double, quant_type=self.kind,
        )  # fmt: skip
        settings = {"quant_type": self.kind, "compress_statistics": self.double, "module": quantized}
        quantized.weight = bnb.nn.Params4bit(linear.weight.data, requires_grad=False, **settings)
        quantized.bias = linear.bias
        quantized.support_avx512bf16_for_cpu = False  # else the first evaluation rounds the scales of frozen weights
        return cast(nn.Module, quantized.to(linear.weight.device))


def dequantized_weight(linear: Any) -> Tensor:
    """The weights of a quantized layer, dequantized to the dtype that they had before."""
    state = linear.weight.quant_state
    return cast(Tensor, import_module("bitsandbytes.functional").dequantize_4bit(linear.weight.data, state))


def _classification_head(network: nn.Module) -> set[nn.Module]:
    """The modules of a new head, which is trained as it is; none in a language model."""
    if not has_small_head(network):
        return set()
    inner = unwrapped(network)
    return {module for name in head_modules(inner) for module in inner.get_submodule(name).modules()}


def _dequantized(quantized: Any, delta: Tensor | None) -> nn.Linear:
    weight = dequantized_weight(quantized)
    linear = nn.Linear(quantized.in_features, quantized.out_features, quantized.bias is not None, device="meta")
    linear.weight = nn.Parameter(weight if delta is None else (weight + delta).to(weight.dtype), requires_grad=False)
    if quantized.bias is not None:  # bitsandbytes rounds it to the dtype that it computes in, once it was called
        linear.bias = nn.Parameter(quantized.bias.detach().to(weight.dtype), requires_grad=False)
    return linear


def _is_quantized(module: nn.Module) -> bool:
    return type(module).__name__ == "Linear4bit" and type(module).__module__.startswith("bitsandbytes.")
